//! `doctor`: what is right and wrong out there, and what to do.
//!
//! A bad finding is an exit code of its own, so that a deployment can stop at it.

use prooflog_config::Loaded;

use super::config::report;
use super::exit::CliError;
use super::output::{self, Form, json_line};
use crate::run::{Finding, Grade, examine};

const fn sign(grade: Grade) -> &'static str {
    match grade {
        Grade::Good => "ok  ",
        Grade::Warning => "warn",
        Grade::Bad => "BAD ",
    }
}

/// Looks at everything, and fails if anything must be mended.
pub(crate) fn run(loaded: &Loaded, form: Form) -> Result<(), CliError> {
    report(loaded);
    let findings = blocking(examine(loaded))?;
    print(&findings, form)
}

fn print(findings: &[Finding], form: Form) -> Result<(), CliError> {
    output::print(|out| match form {
        Form::Json => findings.iter().try_for_each(|finding| json_line(out, finding)),
        Form::Text => findings.iter().try_for_each(|finding| {
            let chain = finding.chain.as_deref().unwrap_or("-");
            writeln!(out, "{} {chain} {}: {}", sign(finding.grade), finding.check, finding.found)?;
            if finding.mend.is_empty() { Ok(()) } else { writeln!(out, "     -> {}", finding.mend) }
        }),
    })?;
    let bad = findings.iter().filter(|finding| finding.grade == Grade::Bad).count();
    match bad {
        0 => Ok(()),
        bad => Err(CliError::Findings(format!("{bad} findings must be mended before money is spent"))),
    }
}

fn blocking<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(CliError::io("the runtime"))?.block_on(work))
}
