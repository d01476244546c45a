//! Servers side by side under the same appends: how many, and what each costs.
//!
//! For whoever changes something and wants to know what it brought: two builds of ours, one of them next to the peer.
//! What an append costs in processor time and changes of threads is counted by the system, so it says something on a
//! busy machine too, where rates do not.

use std::path::Path;
use std::time::Duration;

use crate::Outcome;
use crate::load::{Measured, Target};
use crate::servers::Process;
use crate::table::median;

/// What is measured, and how much of it.
struct Plan {
    writers: Vec<usize>,
    turns: usize,
    span: Duration,
}

/// Measures the servers that `words` name: `umadb`, or paths of `prooflog-bench`.
pub(crate) async fn run(words: &[&str]) -> Outcome<()> {
    let mut plan = Plan { writers: vec![1, 4, 16, 64], turns: 5, span: Duration::from_secs(2) };
    let mut names = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match *word {
            "--writers" => {
                plan.writers = value()?.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            "--turns" => plan.turns = value()?.parse()?,
            "--span-ms" => plan.span = Duration::from_millis(value()?.parse()?),
            name => names.push(name),
        }
    }
    let scratch = tempfile::tempdir()?;
    let mut servers = Vec::new();
    for (nth, name) in names.iter().enumerate() {
        let place = scratch.path().join(nth.to_string());
        servers.push(if *name == "umadb" {
            Process::umadb(&place).await?
        } else {
            Process::ours(Path::new(name), &place)?
        });
    }
    println!(
        "| Server | Writers | Appends | To the first | p99 | Server's time | Client's time | Switches |"
    );
    println!("|{}", "---|".repeat(8));
    for writers in &plan.writers {
        one_load(&names, &servers, *writers, &plan).await?;
    }
    Ok(())
}

async fn one_load(names: &[&str], servers: &[Process], writers: usize, plan: &Plan) -> Outcome<()> {
    let mut targets = Vec::new();
    for server in servers {
        targets.push(Target::connect(server, writers).await?);
    }
    let mut found: Vec<Vec<(Measured, Cost)>> = servers.iter().map(|_| Vec::new()).collect();
    for turn in 0..plan.turns {
        for at in 0..servers.len() {
            // Whoever comes after a certain one in one turn comes before it in the next.
            let at = if turn % 2 == 0 { at } else { servers.len() - 1 - at };
            let before = (Spent::of(servers[at].id())?, Spent::of(std::process::id())?);
            let measured = targets[at].appends(plan.span).await?;
            let after = (Spent::of(servers[at].id())?, Spent::of(std::process::id())?);
            found[at].push((measured, Cost::between(before, after, measured.made)));
        }
    }
    for (at, name) in names.iter().enumerate() {
        let name = Path::new(name).file_name().unwrap_or_default().display();
        let of = |pick: fn(&(Measured, Cost)) -> f64| median(found[at].iter().map(pick));
        let ratio = median(
            found[at].iter().zip(&found[0]).map(|(this, first)| this.0.per_second / first.0.per_second),
        );
        println!(
            "| {name} | {writers} | {:.0} /s | {ratio:.3} | {:.2} ms | {:.1} us, {:.1} in the kernel | {:.1} us | {:.2} |",
            of(|one| one.0.per_second),
            of(|one| one.0.p99.as_secs_f64() * 1e3),
            of(|one| one.1.server),
            of(|one| one.1.kernel),
            of(|one| one.1.client),
            of(|one| one.1.switches),
        );
    }
    Ok(())
}

/// What one append costs: microseconds, and changes of threads of the server.
struct Cost {
    server: f64,
    kernel: f64,
    client: f64,
    switches: f64,
}

impl Cost {
    fn between(before: (Spent, Spent), after: (Spent, Spent), appends: usize) -> Self {
        let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / appends.max(1) as f64;
        Self {
            server: each(before.0.micros(), after.0.micros()),
            kernel: each(before.0.kernel * TICK, after.0.kernel * TICK),
            client: each(before.1.micros(), after.1.micros()),
            switches: each(before.0.switches, after.0.switches),
        }
    }
}

/// Microseconds of a tick, in which the system tells what a process has used.
const TICK: u64 = 10_000;

/// What a process has used so far.
struct Spent {
    user: u64,
    kernel: u64,
    switches: u64,
}

impl Spent {
    fn of(process: u32) -> Outcome<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name in brackets may hold anything; the fields stand behind it.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
        let field = |nth: usize| fields.get(nth).copied().unwrap_or_default().parse();
        let (user, kernel) = (field(11)?, field(12)?);
        let mut switches = 0;
        for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
            // A thread may have ended meanwhile.
            let status = std::fs::read_to_string(task?.path().join("status")).unwrap_or_default();
            let counts = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
            switches += counts.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>();
        }
        Ok(Self { user, kernel, switches })
    }

    fn micros(&self) -> u64 {
        (self.user + self.kernel) * TICK
    }
}
