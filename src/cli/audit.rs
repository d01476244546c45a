//! `audit`: evidence for somebody who does not trust us, and a page for somebody who reads.
//!
//! What is made is a file that others check with the public key alone; a key signs one history, and nothing is proven of
//! a checkpoint that the log does not hold. Documents go to standard output or into a new file.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use prooflog_audit::{
    AuditError, Checkpoint, Document, Extensions, SignedCheckpoint, SigningKey, VerifyingKey, check,
    checkpoint, consistency, examine, keygen, prove, render_text, report,
};
use prooflog_events::ids::Position;
use serde_json::json;

use super::Common;
use super::exit::CliError;
use super::movement::new_file;
use super::output::{self, Form, json_line, tell};
use super::source::{Moment, Source};

/// What to do for an auditor.
#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Make a key for this log's checkpoints. Prints the public key, which anybody may have.
    #[command(after_help = "Example: prooflog audit keygen --key /secure/audit.key > audit.pub")]
    Keygen {
        /// New file for the private key.
        #[arg(long)]
        key: PathBuf,
    },
    /// Sign how the log stands (at --at): a C2SP tlog-checkpoint over a Merkle tree of all records.
    #[command(
        after_help = "Example: prooflog audit checkpoint --key /secure/audit.key --before old.ckpt --to new.ckpt"
    )]
    Checkpoint {
        /// File of the private key.
        #[arg(long)]
        key: PathBuf,
        /// A checkpoint signed earlier; nothing is signed that contradicts it. May be given several times.
        #[arg(long)]
        before: Vec<PathBuf>,
        /// Leave out when the last record was written, and its hash.
        #[arg(long)]
        bare: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Show that a record is in the log of a checkpoint.
    #[command(after_help = "Example: prooflog audit prove 1042 --checkpoint new.ckpt --to record-1042.proof")]
    Prove {
        /// Position of the record.
        position: u64,
        /// File of the checkpoint.
        #[arg(long)]
        checkpoint: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Show that the log of a checkpoint begins with that of an older one.
    #[command(after_help = "Example: prooflog audit consistency old.ckpt new.ckpt --to growth.proof")]
    Consistency {
        /// File of the older checkpoint.
        old: PathBuf,
        /// File of the newer one.
        new: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Check checkpoints and proofs with the public key alone; no log is needed.
    #[command(
        after_help = "Example: prooflog audit check --key \"$(cat audit.pub)\" old.ckpt new.ckpt growth.proof"
    )]
    Check {
        /// The public key, as `audit keygen` printed it.
        #[arg(long)]
        key: String,
        /// Files of checkpoints and proofs.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Compare the log with checkpoints taken earlier: the last that holds, the first that does not.
    #[command(after_help = "Example: prooflog audit examine --key \"$(cat audit.pub)\" *.ckpt")]
    Examine {
        /// The public key: checkpoints that it did not sign are refused.
        #[arg(long)]
        key: Option<String>,
        /// Files of checkpoints.
        #[arg(required = true)]
        checkpoints: Vec<PathBuf>,
    },
    /// A page to read: totals, every intervention and change of settings, every submission, every anomaly.
    #[command(
        after_help = "Example: prooflog audit report --from 2026-10-01T00:00:00Z --to 2026-11-01T00:00:00Z"
    )]
    Report {
        /// From after this moment on, as for --at.
        #[arg(long, default_value = "0")]
        from: Moment,
        /// Up to this moment; the head without one.
        #[arg(long, conflicts_with = "at")]
        to: Option<Moment>,
    },
}

impl Audit {
    /// Whether it answers for an earlier moment. A proof is about the records of its checkpoint.
    pub(crate) const fn looks_at_a_moment(&self) -> bool {
        matches!(self, Self::Checkpoint { .. } | Self::Report { .. })
    }
}

/// Where a document goes.
#[derive(clap::Args)]
pub(crate) struct Target {
    /// New file to write; standard output without one.
    #[arg(long)]
    to: Option<PathBuf>,
}

/// Does it.
pub(crate) fn run(common: &Common, audit: &Audit) -> Result<(), CliError> {
    let form = Form::of(common.json);
    let open = |moment| Source::open(&common.data_dir, moment);
    match audit {
        Audit::Keygen { key } => {
            let public = keygen(key, open(Moment::HEAD)?.log())?;
            output::print(|out| match form {
                Form::Json => json_line(out, &json!({ "public_key": public.to_string() })),
                Form::Text => writeln!(out, "{public}"),
            })
        }
        Audit::Checkpoint { key, before, bare, target } => {
            let source = open(common.at)?;
            let before = before.iter().map(|path| checkpoint_of(path)).collect::<Result<Vec<_>, _>>()?;
            let extensions = if *bare { Extensions::None } else { Extensions::TimeAndHead };
            let key = (&SigningKey::read(key)?, extensions);
            let signed = checkpoint(&source.reader(), source.log(), source.at(), key, &before)?;
            give(target, &Document::Checkpoint(signed), form)
        }
        Audit::Prove { position, checkpoint, target } => {
            let source = open(Moment::HEAD)?;
            let checkpoint = checkpoint_of(checkpoint)?;
            let proof = prove(&source.reader(), source.log(), Position(*position), checkpoint)?;
            give(target, &Document::Inclusion(proof), form)
        }
        Audit::Consistency { old, new, target } => {
            let source = open(Moment::HEAD)?;
            let (old, new) = (checkpoint_of(old)?, checkpoint_of(new)?);
            let proof = consistency(&source.reader(), source.log(), &old, new)?;
            give(target, &Document::Consistency(proof), form)
        }
        Audit::Check { key, files } => check_files(key, files, form),
        Audit::Examine { key, checkpoints } => {
            compare(&open(Moment::HEAD)?, key.as_deref(), checkpoints, form)
        }
        Audit::Report { from, to } => {
            let source = open(to.unwrap_or(common.at))?;
            let after = source.settled(*from)?;
            let report = report(&source.reader(), source.log(), after.next(), source.at())?;
            output::print(|out| match form {
                Form::Json => json_line(out, &report),
                Form::Text => out.write_all(render_text(&report).as_bytes()),
            })
        }
    }
}

/// A document, or which file is none.
fn document(path: &Path) -> Result<Document, CliError> {
    Document::read(path).map_err(|error| match error {
        AuditError::Form { expected, why } => {
            AuditError::Form { expected, why: format!("{}: {why}", path.display()) }.into()
        }
        other => other.into(),
    })
}

/// A checkpoint; that of a proof will do.
fn checkpoint_of(path: &Path) -> Result<SignedCheckpoint, CliError> {
    Ok(document(path)?.checkpoint().clone())
}

fn give(target: &Target, document: &Document, form: Form) -> Result<(), CliError> {
    let Checkpoint { log, size, root, .. } = document.checkpoint().checkpoint();
    let Some(path) = &target.to else {
        return output::print(|out| match form {
            Form::Json => {
                let text = document.to_string();
                json_line(out, &json!({ "log": log, "size": size, "root": root, "document": text }))
            }
            Form::Text => write!(out, "{document}"),
        });
    };
    let failed = || CliError::io(path.display().to_string());
    let mut file = new_file(path)?;
    write!(file, "{document}").and_then(|()| file.sync_all()).map_err(failed())?;
    let told = json!({ "log": log, "size": size, "root": root, "to": path.display().to_string() });
    tell(form, &told, &format!("{} written, of {size} records under root {root}", path.display()))
}

fn check_files(key: &str, files: &[PathBuf], form: Form) -> Result<(), CliError> {
    let key: VerifyingKey = key.parse()?;
    let documents = files.iter().map(|path| document(path)).collect::<Result<Vec<_>, _>>()?;
    let checked = check(&documents, &key)?;
    output::print(|out| match form {
        Form::Json => json_line(out, &checked),
        Form::Text => {
            writeln!(out, "log {}", checked.log)?;
            checked.statements.iter().try_for_each(|statement| writeln!(out, "ok  {statement}"))?;
            if checked.histories.len() > 1 {
                let text = "not shown: that these checkpoints are of one history (`audit consistency`)";
                writeln!(out, "?   {text}")?;
            }
            Ok(())
        }
    })
}

fn compare(source: &Source, key: Option<&str>, files: &[PathBuf], form: Form) -> Result<(), CliError> {
    let signed = files.iter().map(|path| checkpoint_of(path)).collect::<Result<Vec<_>, _>>()?;
    if let Some(key) = key {
        let key: VerifyingKey = key.parse()?;
        signed.iter().try_for_each(|checkpoint| checkpoint.verify(&key))?;
    }
    let checkpoints: Vec<Checkpoint> = signed.iter().map(|signed| signed.checkpoint().clone()).collect();
    if let Some(other) = checkpoints.iter().find(|checkpoint| checkpoint.log != source.log()) {
        let text = format!("a checkpoint is of log {}, this is log {}", other.log, source.log());
        return Err(CliError::Usage(text));
    }
    let examination = examine(&source.reader(), &checkpoints)?;
    output::print(|out| match form {
        Form::Json => json_line(out, &examination),
        Form::Text => writeln!(out, "{examination}"),
    })?;
    if examination.is_whole() {
        return Ok(());
    }
    Err(AuditError::Refuted("the log does not hold all checkpoints that were signed".to_owned()).into())
}
