//! `import`: an export becomes a log, or what op-succinct's proposer paid for is taken over into one.
//!
//! The command holds the log as an engine does. What is to become of each row is asked of the rule that decides it, shown,
//! and then done in batches; a second import takes nothing twice. What a crash means: what was taken is taken, and the
//! next import goes on.

mod show;
mod take;
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{ArgMatches, Args, Subcommand};
use prooflog_core::import::{Verdict, sort};
use prooflog_events::ids::{ChainId, L1Number};
use prooflog_events::input::{ImportedProgress, ImportedRow, ImportedSubject};
use prooflog_import::{Given, read};

use super::exit::CliError;
use super::output::{Form, clean};
use super::{Common, movement};
use show::Line;
use world::World;

/// What to import.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Import {
    /// File of an export to make a log of; `-` for standard input.
    #[arg(required = true)]
    from: Option<PathBuf>,
    #[command(subcommand)]
    proposer: Option<Proposer>,
}

#[derive(Subcommand)]
enum Proposer {
    /// Take over what op-succinct's proposer paid for, from the database that it leaves behind. No engine may hold the
    /// directory, and the old proposer must be stopped.
    #[command(
        after_help = "Examples:\n  prooflog import op-succinct --env-file .env --dry-run\n  prooflog import op-succinct --db-path ./op-proposer --same-keys"
    )]
    OpSuccinct(OpSuccinct),
}

/// Whose database, and what it does not say.
#[derive(Args)]
struct OpSuccinct {
    /// The Go proposer's SQLite file, or the directory that holds `<l2 chain id>/proofs.db`; `DB_PATH` of its environment.
    #[arg(long, conflicts_with = "database_url")]
    db_path: Option<PathBuf>,
    /// The Rust proposer's Postgres database, postgres://...; `DATABASE_URL` of its environment. It holds a password: better
    /// left to the environment or to --env-file.
    #[arg(long)]
    database_url: Option<String>,
    /// Show what would be taken, what not, and why; change nothing.
    #[arg(long)]
    dry_run: bool,
    /// The contract's keys have not changed since the Go proposer made its proofs: its database does not say under which
    /// it made them.
    #[arg(long)]
    same_keys: bool,
    /// Only take proofs of this SP1 version, the one that the prover's server takes. It does not tell which, so with proofs
    /// of several versions it must be named.
    #[arg(long, value_name = "VERSION")]
    sp1_version: Option<String>,
    /// Where the L1 stands now, for proofs whose L1 head the database does not say; read from the L1 where a configuration
    /// is given.
    #[arg(long, value_name = "BLOCK")]
    l1_head: Option<L1Number>,
}

/// A row that can be taken over, and which row it was.
struct Candidate {
    found: usize,
    row: ImportedRow,
}

/// Imports.
pub(crate) fn run(
    common: &Common,
    chain: Option<ChainId>,
    import: &Import,
    settings: &ArgMatches,
) -> Result<(), CliError> {
    match (&import.proposer, &import.from) {
        (Some(Proposer::OpSuccinct(ask)), _) => {
            let settings = settings.subcommand().map_or(settings, |(_, settings)| settings);
            op_succinct(common, chain, ask, settings)
        }
        (None, Some(from)) => movement::import(&common.data_dir, from, Form::of(common.json)),
        (None, None) => Err(CliError::Usage("say which file to import".to_owned())),
    }
}

fn op_succinct(
    common: &Common,
    chain: Option<ChainId>,
    ask: &OpSuccinct,
    settings: &ArgMatches,
) -> Result<(), CliError> {
    let form = Form::of(common.json);
    let world = World::find(common, chain, settings)?;
    let mut database = world.database(ask)?;
    let known = world.known()?;
    let given = Given {
        mode: known.policy.mode,
        same_keys: ask.same_keys,
        version: ask.sp1_version.clone(),
        l1_seen: ask.l1_head.or(world.l1_head()),
    };
    let found = read(&database.rows(world.chain, known.l1)?, &given);
    let candidates: Vec<Candidate> = found
        .iter()
        .enumerate()
        .filter_map(|(index, found)| Some(Candidate { found: index, row: found.holds.clone().ok()? }))
        .collect();
    let rows: Vec<ImportedRow> = candidates.iter().map(|candidate| candidate.row.clone()).collect();
    let verdicts = sort(&known.chain, &rows);
    let lines = Line::all(&found, &candidates, &verdicts);
    let mixed = one_version(&candidates, &verdicts);
    if ask.dry_run {
        show::print(&lines, database.source(), show::Intent::DryRun, form)?;
        return mixed;
    }
    mixed?;
    if verdicts.iter().any(|verdict| !matches!(verdict, Verdict::Left(_))) {
        take::take(&world, &mut database, rows)?;
    }
    show::print(&lines, database.source(), show::Intent::Done, form)
}

/// Refuses to offer proofs of several versions to a server that takes those of one. Which one it takes, it does not tell.
fn one_version(candidates: &[Candidate], verdicts: &[Verdict]) -> Result<(), CliError> {
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for (Candidate { row, .. }, verdict) in candidates.iter().zip(verdicts) {
        let is_offered = matches!(verdict, Verdict::Taken | Verdict::Delivered(_));
        let is_member = matches!(row.subject, ImportedSubject::Span { .. });
        if is_offered && is_member && matches!(row.progress, ImportedProgress::Proven { .. }) {
            *versions.entry(row.version.as_deref().unwrap_or("an unknown one")).or_default() += 1;
        }
    }
    if versions.len() < 2 {
        return Ok(());
    }
    let all: Vec<String> =
        versions.iter().map(|(version, count)| format!("{} ({count})", clean(version))).collect();
    Err(CliError::Usage(format!(
        "the spans to be taken over were proven by several SP1 versions, {}, and a prover's server takes proofs of one, \
         which it does not tell: name the one that yours is built for with --sp1-version; nothing was changed",
        all.join(", ")
    )))
}
