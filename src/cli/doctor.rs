//! `doctor` and `prover-check`: what is right and wrong out there, and what to do.

use clap::Args;
use prooflog_config::Loaded;
use prooflog_events::ids::{Address, Range};
use prooflog_net::{Endpoint, Salt};

use super::config::report;
use super::exit::CliError;
use super::output::{self, Form, json_line};
use crate::run::{Finding, Grade, examine};

/// Which server, and what may be asked of it.
#[derive(Args)]
pub(crate) struct ProverCheck {
    /// Its address.
    url: String,
    /// The output oracle that it proves for.
    #[arg(long)]
    oracle: Address,
    /// Also have blocks proven, START:END: a real proof costs money.
    #[arg(long, value_name = "START:END")]
    prove: Option<String>,
    /// Use the mock endpoints for it.
    #[arg(long, requires = "prove")]
    mock: bool,
}

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

/// Looks at a prover's server.
pub(crate) fn prover_check(check: &ProverCheck, form: Form) -> Result<(), CliError> {
    let endpoint = Endpoint::parse(&check.url, Salt::default());
    let endpoint = endpoint.map_err(|error| CliError::Usage(format!("the server's address: {error}")))?;
    let range = check.prove.as_deref().map(range).transpose()?;
    let findings = blocking(crate::run::check_prover(endpoint, check.oracle, range, check.mock))??;
    print(&findings, form)
}

fn range(text: &str) -> Result<Range, CliError> {
    let wrong = || CliError::Usage(format!("`{text}` is not START:END with START below END"));
    let (start, end) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| text.parse().map(prooflog_events::ids::L2Block).map_err(|_| wrong());
    Range::new(number(start)?, number(end)?).ok_or_else(wrong)
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
