//! Values of metrics, and their exposition.
//!
//! A [`Sheet`] begins with every sample of the table at what stands for unknown, and takes only samples that the table
//! has. The text encoder of the `prometheus` crate writes names as they are, so no suffix is added.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus::core::Collector as _;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Histogram, HistogramOpts, TextEncoder};
use prooflog_events::ids::ChainId;

use super::table::{self, Def, Kind, Scope, Unknown};

/// The rollups that this process serves.
#[derive(Debug, Clone)]
pub(crate) struct Chains(Arc<[ChainId]>);

impl Chains {
    pub(crate) fn new(chains: &[ChainId]) -> Self {
        let mut chains = chains.to_vec();
        chains.sort_unstable();
        chains.dedup();
        Self(chains.into())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = ChainId> + '_ {
        self.0.iter().copied()
    }

    /// `chain` if it is served; for what belongs to no rollup, the only one there is.
    pub(crate) fn only(&self, chain: Option<ChainId>) -> Option<ChainId> {
        match (chain, &*self.0) {
            (Some(chain), all) => all.contains(&chain).then_some(chain),
            (None, [one]) => Some(*one),
            (None, _) => None,
        }
    }

    fn are_labelled(&self) -> bool {
        self.0.len() != 1
    }

    /// Every sample that `def` has.
    fn samples(&self, def: &'static Def) -> Vec<Key> {
        let chains: Vec<Option<ChainId>> = match def.scope {
            Scope::Process => vec![None],
            Scope::Chain => self.iter().map(Some).collect(),
        };
        let combinations = def.combinations();
        chains
            .into_iter()
            .flat_map(|chain| {
                combinations.iter().map(move |labels| Key { metric: def.key(), chain, labels: *labels })
            })
            .collect()
    }
}

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    metric: &'static str,
    chain: Option<ChainId>,
    labels: [&'static str; 2],
}

impl Key {
    pub(crate) fn new(def: &'static Def, chain: Option<ChainId>, labels: &[&'static str]) -> Self {
        let at = |index: usize| labels.get(index).copied().unwrap_or("");
        Self { metric: def.key(), chain, labels: [at(0), at(1)] }
    }
}

/// Samples with their values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sheet(BTreeMap<Key, Option<f64>>);

impl Sheet {
    /// Every sample of the table, at what stands for unknown; `None` is absent.
    pub(crate) fn new(chains: &Chains) -> Self {
        let mut sheet = Self::default();
        for def in table::all().filter(|def| !matches!(def.kind, Kind::Histogram(_))) {
            let value = match def.unknown {
                Unknown::Zero => Some(0.0),
                Unknown::Nan => Some(f64::NAN),
                Unknown::Absent => None,
            };
            sheet.0.extend(chains.samples(def).into_iter().map(|key| (key, value)));
        }
        sheet
    }

    /// Sets a sample; one that the table does not have is left out.
    pub(crate) fn set(&mut self, key: Key, value: f64) {
        if let Some(place) = self.0.get_mut(&key) {
            *place = Some(value);
        }
    }

    /// Sets a sample if its value is known.
    pub(crate) fn set_known(&mut self, key: Key, value: Option<f64>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// Adds to a sample.
    pub(crate) fn add(&mut self, key: Key, more: f64) {
        if let Some(place) = self.0.get_mut(&key) {
            let known = place.filter(|value| !value.is_nan()).unwrap_or(0.0);
            *place = Some((known + more).max(0.0));
        }
    }

    fn of<'a>(&'a self, metric: &'static str) -> impl Iterator<Item = (&'a Key, f64)> + 'a {
        let low = Key { metric, chain: None, labels: ["", ""] };
        self.0
            .range(low..)
            .take_while(move |(key, _)| key.metric == metric)
            .filter_map(|(key, value)| Some((key, (*value)?)))
    }
}

/// The distributions of the table.
#[derive(Debug)]
pub(crate) struct Histograms(BTreeMap<Key, Histogram>);

impl Histograms {
    pub(crate) fn new(chains: &Chains) -> Self {
        let mut all = BTreeMap::new();
        for def in table::all() {
            let Kind::Histogram(bounds) = def.kind else { continue };
            for key in chains.samples(def) {
                // The bounds are constants in rising order, which is all that it asks for.
                let options = HistogramOpts::new(def.key(), def.help).buckets(bounds.to_vec());
                all.extend(Histogram::with_opts(options).ok().map(|histogram| (key, histogram)));
            }
        }
        Self(all)
    }

    pub(crate) fn observe(&self, key: &Key, value: f64) {
        if let Some(histogram) = self.0.get(key) {
            histogram.observe(value);
        }
    }

    fn of<'a>(&'a self, metric: &'static str) -> impl Iterator<Item = (&'a Key, &'a Histogram)> + 'a {
        let low = Key { metric, chain: None, labels: ["", ""] };
        self.0.range(low..).take_while(move |(key, _)| key.metric == metric)
    }
}

/// The text of all samples.
pub(crate) fn expose(chains: &Chains, sheet: &Sheet, histograms: &Histograms) -> String {
    let mut families = Vec::new();
    for def in table::all() {
        let family = family(def, chains, sheet, histograms);
        if family.get_metric().is_empty() {
            continue;
        }
        for name in def.names {
            let mut family = family.clone();
            family.set_name((*name).to_owned());
            families.push(family);
        }
    }
    // It only fails for a family without a name or a sample, and there is none.
    TextEncoder::new().encode_to_string(&families).unwrap_or_default()
}

fn family(def: &'static Def, chains: &Chains, sheet: &Sheet, histograms: &Histograms) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_help(def.help.to_owned());
    let metrics = match def.kind {
        Kind::Histogram(_) => {
            family.set_field_type(MetricType::HISTOGRAM);
            histograms
                .of(def.key())
                .filter(|(_, histogram)| def.unknown != Unknown::Absent || histogram.get_sample_count() > 0)
                .filter_map(|(key, histogram)| distribution(def, chains, key, histogram))
                .collect()
        }
        Kind::Counter => {
            family.set_field_type(MetricType::COUNTER);
            let counter = |(key, value)| {
                let mut counter = Counter::default();
                counter.set_value(value);
                let mut metric = Metric::from_label(labels(def, chains, key));
                metric.set_counter(counter);
                metric
            };
            sheet.of(def.key()).map(counter).collect()
        }
        Kind::Gauge => {
            family.set_field_type(MetricType::GAUGE);
            let gauge = |(key, value)| {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                let mut metric = Metric::from_label(labels(def, chains, key));
                metric.set_gauge(gauge);
                metric
            };
            sheet.of(def.key()).map(gauge).collect()
        }
    };
    family.set_metric(metrics);
    family
}

fn distribution(def: &Def, chains: &Chains, key: &Key, histogram: &Histogram) -> Option<Metric> {
    let family = histogram.collect().pop()?;
    let mut metric = Metric::from_label(labels(def, chains, key));
    metric.set_histogram(family.get_metric().first()?.get_histogram().clone());
    Some(metric)
}

fn labels(def: &Def, chains: &Chains, key: &Key) -> Vec<LabelPair> {
    let pair = |name: &str, value: String| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value);
        pair
    };
    let chain = key.chain.filter(|_| chains.are_labelled());
    let own = def.labels.iter().zip(key.labels).map(|(label, value)| pair(label.name, value.to_owned()));
    chain.map(|chain| pair("chain", chain.to_string())).into_iter().chain(own).collect()
}
