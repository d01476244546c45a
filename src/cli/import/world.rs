//! What an import knows of the rollup: from the log, and from a configuration where one is given.
//!
//! A log that has read the contract needs no configuration. One that is new, or never read it, learns from the nodes what
//! its engine would: who the rollup is and what its contract says.

use std::path::PathBuf;

use clap::ArgMatches;
use prooflog_config::{ChainConfig, Loaded};
use prooflog_core::decide;
use prooflog_events::ids::{ChainId, Hash32, L1ChainId, L1Number, LogId};
use prooflog_events::input::Input;
use prooflog_events::policy::Policy;
use prooflog_import::Database;
use prooflog_projections::State;
use prooflog_projections::state::chain::Chain;

use super::super::exit::CliError;
use super::super::source::{Moment, Source};
use super::super::{Common, config};
use super::OpSuccinct;
use crate::run::{Outlook, StartError, look_outside, now};

/// The rollup that is imported into.
pub(super) struct World {
    pub(super) chain: ChainId,
    pub(super) data_dir: PathBuf,
    /// SHA-256 over the configuration, where there is one.
    pub(super) digest: Hash32,
    /// The state of the log; that of the empty one where there is none.
    state: State,
    outlook: Option<Outlook>,
    variables: config::Variables,
}

/// What rows are compared with.
pub(super) struct Known {
    pub(super) chain: Chain,
    pub(super) policy: Policy,
    pub(super) l1: L1ChainId,
}

impl World {
    /// Finds the rollup, and asks its nodes if a configuration says where they are.
    pub(super) fn find(
        common: &Common,
        chain: Option<ChainId>,
        settings: &ArgMatches,
    ) -> Result<Self, CliError> {
        let variables = config::Variables::read(settings)?;
        let (loaded, problem) = match config::read(settings) {
            Ok(loaded) => (Some(loaded), None),
            // Without a word about a configuration there is none; with one it must be right.
            Err(error) if config::is_meant(settings)? => return Err(error),
            Err(error) => (None, Some(error)),
        };
        let data_dir = loaded.as_ref().map_or(&common.data_dir, |loaded| &loaded.process.data_dir).clone();
        let state = match data_dir.join("HEAD").is_file() {
            true => Source::open(&data_dir, Moment::HEAD)?.state()?,
            false => State::new(LogId([0; 16])),
        };
        let chain = which(chain, loaded.as_ref(), &state)?;
        let configured =
            loaded.as_ref().and_then(|loaded| of_chain(loaded, chain).map(|config| (loaded, config)));
        let outlook = match configured {
            Some((loaded, config)) => Some(ask(loaded, config)?),
            None if state.chains.get(&chain).is_some_and(|chain| chain.commitments().is_some()) => None,
            None => {
                let why = problem.map(|error| format!(": {error}")).unwrap_or_default();
                let text = format!(
                    "the log does not know the contract of rollup {chain}: run `prooflog run --observe` first, or give \
                     a configuration that says where its nodes are{why}"
                );
                return Err(CliError::Usage(text));
            }
        };
        let digest = loaded.map_or(Hash32::ZERO, |loaded| loaded.digest);
        Ok(Self { chain, data_dir, digest, state, outlook, variables })
    }

    /// Where the L1 stands, if it was asked.
    pub(super) fn l1_head(&self) -> Option<L1Number> {
        self.outlook.as_ref().map(|outlook| outlook.l1_head)
    }

    /// What the log is told before the first row: who the rollup is, if it does not know, and what the contract says. A
    /// log whose engine spends is told only what it does not know: a new reading would have it start something.
    pub(super) fn first(&self) -> Vec<Input> {
        let Some(outlook) = &self.outlook else { return Vec::new() };
        let known = self.state.chains.get(&self.chain);
        let mut inputs = Vec::new();
        if known.is_none() {
            inputs.push(outlook.configured.clone().into());
        }
        let observes = known.and_then(|chain| chain.policy.as_ref()).is_some_and(|policy| policy.observe);
        if observes || known.is_none_or(|chain| chain.contract.values.is_none()) {
            inputs.push(outlook.contract.clone().into());
        }
        inputs
    }

    /// The rollup as it stands before the first row.
    pub(super) fn known(&self) -> Result<Known, CliError> {
        let mut state = self.state.clone();
        for input in self.first() {
            decide(&mut state, now(), &input).map_err(|error| CliError::Usage(error.to_string()))?;
        }
        let known = state.chains.get(&self.chain).cloned();
        let known = known.and_then(|chain| {
            let (policy, l1) = (chain.policy.clone()?, chain.registration.l1);
            Some(Known { chain, policy, l1 })
        });
        known.ok_or_else(|| CliError::Usage(format!("rollup {} is not in this log", self.chain)))
    }

    /// The database that the command line or the old proposer's environment names.
    pub(super) fn database(&self, ask: &OpSuccinct) -> Result<Database, CliError> {
        let of_go = ask.db_path.clone();
        let of_rust = ask.database_url.clone();
        let (of_go, of_rust) = if of_go.is_none() && of_rust.is_none() {
            let go = self.variables.get("DB_PATH").or_else(|| self.variables.get("OP_PROPOSER_DB_PATH"));
            (go.map(PathBuf::from), self.variables.get("DATABASE_URL"))
        } else {
            (of_go, of_rust)
        };
        match (of_go, of_rust) {
            (Some(path), None) => Ok(Database::sqlite(&path, self.chain)?),
            (None, Some(url)) => Ok(Database::postgres(&url)?),
            (Some(_), Some(_)) => Err(CliError::Usage(
                "both DB_PATH and DATABASE_URL are set: say which with --db-path or --database-url"
                    .to_owned(),
            )),
            (None, None) => Err(CliError::Usage(
                "no database: --db-path names the Go proposer's, --database-url the Rust proposer's"
                    .to_owned(),
            )),
        }
    }
}

/// The rollup that is meant: the one named, or the only one there is.
fn which(named: Option<ChainId>, loaded: Option<&Loaded>, state: &State) -> Result<ChainId, CliError> {
    if let Some(chain) = named {
        return Ok(chain);
    }
    let mut all: Vec<ChainId> = match loaded {
        Some(loaded) => loaded.chains.iter().flatten().map(|config| config.id).collect(),
        None => state.chains.keys().copied().collect(),
    };
    match (all.pop(), all.is_empty()) {
        (Some(chain), true) => Ok(chain),
        (Some(_), false) => {
            Err(CliError::Usage("there are several rollups: say which with --chain".to_owned()))
        }
        (None, _) => Err(CliError::Usage(
            "no rollup is known here: give a configuration, or name it with --chain".to_owned(),
        )),
    }
}

fn of_chain(loaded: &Loaded, chain: ChainId) -> Option<&ChainConfig> {
    loaded.chains.iter().flatten().find(|config| config.id == chain)
}

fn ask(loaded: &Loaded, config: &ChainConfig) -> Result<Outlook, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(CliError::io("the runtime"))?;
    runtime.block_on(look_outside(config, &loaded.process)).map_err(|error| match error {
        StartError::NotYet(text) | StartError::NotSynced(text) => CliError::Outside(text),
        StartError::Wrong(text) => CliError::Usage(text),
    })
}
