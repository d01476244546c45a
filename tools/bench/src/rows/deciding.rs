//! One observation decided, folded and planned.
//!
//! With many live requests and with histories of different lengths: the first may cost its logarithm, the second
//! nothing.

use prooflog_core::{Outbox, Pacing, decide};
use prooflog_events::ids::{Hash32, L1Number, L1Ref, L2Block, Micros, ProofId, UnitId};
use prooflog_events::input::{
    Delivery, Input, NodeRead, StatusAnswer, StatusAnswered, TimerDue, WitnessAnswer, WitnessAnswered,
};
use prooflog_events::values::BlobRef;
use prooflog_projections::State;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::Phase;

use super::Sizes;
use crate::Outcome;
use crate::generator::{Generator, Shape};
use crate::rng::Rng;
use crate::table::{Row, quantile, span, timed, worked};

/// Between two observations: five in a second, as of a hundred rollups.
const STEP_MICROS: u64 = 200_000;

struct Bench {
    state: State,
    outbox: Outbox,
    now: Micros,
    rng: Rng,
}

/// Seconds of many decisions: of processor time, and of the clock.
struct Times {
    median: f64,
    high: f64,
    most: f64,
    clock: f64,
    live: usize,
    timers: usize,
}

pub(crate) fn rows(sizes: &Sizes) -> Outcome<Vec<Row>> {
    let crowd = sizes.crowd;
    let (short, long) = (crowd * 6, crowd * 30);
    let many = Shape::with_live(crowd);
    let one = Shape { chains: 1, ..many };
    let first = measure(many, short, sizes.decisions)?;
    let later = measure(many, long, sizes.decisions)?;
    let alone = measure(one, short, sizes.decisions)?;
    let row = |what: String, times: &Times| {
        let (median, high, most) = (span(times.median), span(times.high), span(times.most));
        let shown = format!(
            "{median}, p99 {high}, most {most}; by the clock p99 {}; {} timers",
            span(times.clock),
            times.timers
        );
        Row::told(what, shown)
            .judged("median < 50 µs, p99 < 1 ms", (times.median < 50e-6 && times.high < 1e-3).into())
    };
    let history =
        format!("{:.1} M events behind it, {} rollups, {} live", short as f64 / 1e6, many.chains, first.live);
    let alone_what = format!("one observation decided, folded and planned: one rollup, {} live", alone.live);
    Ok(vec![
        row(format!("one observation decided, folded and planned: {history}"), &first),
        row(alone_what, &alone),
        Row::told(format!("the same with {:.1} M events behind it", long as f64 / 1e6), span(later.median))
            .beside(
                format!("{} with {:.1} M", span(first.median), short as f64 / 1e6),
                later.median / first.median,
            )
            .judged("≤ 1.5: history does not matter", (later.median <= first.median * 1.5).into()),
    ])
}

fn measure(shape: Shape, events: u64, decisions: usize) -> Outcome<Times> {
    let mut generator = Generator::new(shape);
    let mut made = 0;
    while made < events {
        made += generator.next_batch()?.events.len() as u64;
    }
    let (state, now) = generator.into_state();
    let mut bench = Bench { state, outbox: Outbox::new(Pacing::default()), now, rng: Rng::new(5) };
    bench.settle()?;
    let live = bench.state.chains.values().map(|chain| chain.spans.len() + chain.aggs.len()).sum();
    let (mut times, mut clocks) = (Vec::with_capacity(decisions), Vec::with_capacity(decisions));
    let mut timers = 0;
    for _ in 0..decisions {
        bench.now = Micros(bench.now.0 + STEP_MICROS);
        let input = bench.next().ok_or("there is no rollup to observe")?;
        timers += usize::from(matches!(input, Input::TimerDue(_)));
        let (clock, (seconds, done)) = timed(|| worked(|| bench.feed(&input)));
        done?;
        times.push(seconds);
        clocks.push(clock);
    }
    Ok(Times {
        median: quantile(&mut times, 500),
        high: quantile(&mut times, 990),
        most: quantile(&mut times, 1_000),
        clock: quantile(&mut clocks, 990),
        live,
        timers,
    })
}

impl Bench {
    /// Brings a generated state to where the rules have nothing left to do, and plans on it.
    fn settle(&mut self) -> Outcome<()> {
        self.outbox.fill(&mut self.state, self.now);
        for _ in 0..10_000 {
            let decision = decide(&mut self.state, self.now, &Input::TimerDue(TimerDue::of_all()))?;
            if decision.events.is_empty() && !decision.more {
                break;
            }
        }
        self.outbox.refresh(&mut self.state, self.now);
        Ok(())
    }

    fn feed(&mut self, input: &Input) -> Outcome<usize> {
        let decision = decide(&mut self.state, self.now, input)?;
        self.outbox.refresh(&mut self.state, self.now);
        Ok(decision.events.len())
    }

    /// A timer that is due, or news about a random unit that is with the prover, or of a rollup's head.
    fn next(&mut self) -> Option<Input> {
        if let Some(timer) = self.outbox.timer_due(&self.state, self.now) {
            return Some(timer.into());
        }
        let unit = (0..1_000).find_map(|_| {
            let unit = self.random_unit()?;
            self.news(unit)
        });
        unit.or_else(|| self.head())
    }

    /// A random rollup's head moved on by what one span takes.
    fn head(&mut self) -> Option<Input> {
        let chain = self.random_chain()?;
        let (id, head, policy) = (chain.id, chain.finalized?, chain.policy.clone()?);
        Some(Input::NodeRead(NodeRead {
            chain: id,
            finalized: L2Block(head.block.0 + policy.span_blocks),
            hash: Hash32(self.rng.bytes()),
            current_l1: L1Ref { number: L1Number(self.now.0 / 12_000_000), hash: Hash32(self.rng.bytes()) },
            finalized_time: self.now,
        }))
    }

    fn random_chain(&mut self) -> Option<&Chain> {
        let nth = usize::try_from(self.rng.bits()).unwrap_or(usize::MAX) % self.state.chains.len().max(1);
        self.state.chains.values().nth(nth)
    }

    fn random_unit(&mut self) -> Option<UnitId> {
        let chain = self.random_chain()?.id;
        let chain = self.state.chains.get(&chain)?;
        let (first, _) = chain.spans.get_min()?;
        let (last, _) = chain.spans.get_max()?;
        let number = self.rng.between(*first, *last);
        chain.spans.get(&number).map(|unit| unit.id)
    }

    fn news(&mut self, id: UnitId) -> Option<Input> {
        let unit = self.state.unit(id)?;
        let (attempt, phase) = (unit.attempt, unit.phase);
        let status = |fulfillment, delivery| {
            let answer = StatusAnswer::Status { fulfillment, execution: 2, delivery, text: String::new() };
            Input::StatusAnswered(StatusAnswered { unit: id, attempt, answer })
        };
        match phase {
            Phase::WitnessGen => {
                let proof_id = ProofId(self.rng.bytes::<32>().to_vec());
                let l1_seen = L1Number(self.now.0 / 12_000_000);
                let answer = WitnessAnswer::Requested { proof_id, l1_head: None, l1_seen };
                Some(Input::WitnessAnswered(WitnessAnswered { unit: id, attempt, answer }))
            }
            Phase::Requested => Some(status(2, None)),
            Phase::Assigned => {
                let sha256 = Hash32(self.rng.bytes());
                let delivery = Delivery {
                    proof: BlobRef { sha256, length: 1_400_000 },
                    selector: None,
                    l1_head: None,
                    cycles: None,
                    prover_gas: None,
                    cost: None,
                };
                Some(status(3, Some(delivery)))
            }
            _ => None,
        }
    }
}
