//! `doctor` and `prover-check`: what is right and wrong out there, and what to do.
//!
//! A bad finding is an exit code of its own, so that a deployment can stop at it.

use std::time::Duration;

use clap::Args;
use prooflog_config::Loaded;
use prooflog_events::ids::{Address, L2Block, Range};
use prooflog_events::values::Mode;
use prooflog_net::{Endpoint, Salt};
use prooflog_prover::{CheckPlan, CheckSpan, Prover, ProverConfig, ProverLimits, Verdict, check};

use super::config::report;
use super::exit::CliError;
use super::output::{self, Form, json_line};
use crate::run::{Finding, Grade, examine};

/// Which server, and what may be asked of it.
#[derive(Args)]
pub(crate) struct ProverCheck {
    /// Its address.
    url: String,
    /// The output oracle that it proves for; without one its commitments are not compared.
    #[arg(long)]
    oracle: Option<Address>,
    /// Also have blocks proven, START:END; a real proof costs money, and twice where the server ignores keys.
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
pub(crate) fn prover_check(ask: &ProverCheck, form: Form) -> Result<(), CliError> {
    let endpoint = Endpoint::parse(&ask.url, Salt::default());
    let endpoint = endpoint.map_err(|error| CliError::Usage(format!("the server's address: {error}")))?;
    let span = ask.prove.as_deref().map(|text| span(text, ask.mock)).transpose()?;
    let prover = Prover::new(ProverConfig { endpoint, limits: ProverLimits::default() });
    let prover = prover.map_err(|error| CliError::Usage(error.to_string()))?;
    let plan = CheckPlan { oracle: ask.oracle, span };
    let found = blocking(async { check(&prover, &plan).await })?;
    let grade = |verdict| match verdict {
        Verdict::Ok => Grade::Good,
        Verdict::Warning => Grade::Warning,
        Verdict::Failed => Grade::Bad,
    };
    let findings: Vec<Finding> = found
        .into_iter()
        .map(|finding| Finding {
            chain: None,
            check: finding.name,
            grade: grade(finding.verdict),
            found: finding.words,
            mend: String::new(),
        })
        .collect();
    print(&findings, form)
}

fn span(text: &str, mock: bool) -> Result<CheckSpan, CliError> {
    let wrong = || CliError::Usage(format!("`{text}` is not START:END with START below END"));
    let (start, end) = text.split_once(':').ok_or_else(wrong)?;
    let block = |text: &str| text.parse().map(L2Block).map_err(|_| wrong());
    let range = Range::new(block(start)?, block(end)?).ok_or_else(wrong)?;
    let now = crate::run::now();
    let mode = if mock { Mode::Mock } else { Mode::Real };
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    Ok(CheckSpan {
        range,
        mode,
        nonce: now.0,
        witness: hours(1),
        proof: hours(4),
        pause: Duration::from_secs(2),
    })
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
