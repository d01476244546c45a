//! A rollup in a world of its own, for tests: the devnet, the program as a process, and what it records.
//!
//! Everything waits for what the engine records, never for time. What goes wrong ends the test at once and shows what the
//! program printed last. [`World::end`] looks at everything once more: the log must verify, no purpose may have been
//! included twice, every output on the contract must be the L2's real one, and each must lie above the one before.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests: what goes wrong in here is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use prooflog_devnet::{Devnet, DevnetConfig, Output, Rollup, scratch};
use prooflog_devnet_prover::{Fault, Script, Stats};
use serde_json::Value;

use crate::{Engine, Setup, Story, demo};

/// How long any one thing may take that is waited for. Generous: a loaded machine is no failure.
const LIMIT: Duration = Duration::from_secs(150);
/// Bytes shown of what the program printed.
const SHOWN: usize = 6_000;

/// A rollup in a world of its own.
#[derive(Debug)]
pub struct World {
    /// Chains, contracts, rollup node and prover.
    pub devnet: Arc<Devnet>,
    /// The first of its rollups.
    pub rollup: Rollup,
    /// Where the program works and with what.
    pub setup: Setup,
    engine: Option<Engine>,
    story: Option<Story>,
    /// Bytes that were printed before the program was started last.
    printed_before: usize,
    _dir: tempfile::TempDir,
}

/// A devnet with short times: witnesses of a tenth of a second, proofs of half a second, small ones.
#[must_use]
pub fn quick() -> DevnetConfig {
    let script = Script { witness_ms: 100, proving_ms: 400, proof_bytes: Some(60_000), ..Script::default() };
    DevnetConfig { submission_interval: 10, script, ..DevnetConfig::default() }
}

impl World {
    /// Brings the devnet up, without the program.
    pub async fn new(config: DevnetConfig, settings: &str) -> Self {
        Self::around(Devnet::start(config, &|_| {}).await.unwrap(), settings)
    }

    /// Brings everything up.
    pub async fn start(config: DevnetConfig, settings: &str) -> Self {
        let mut world = Self::new(config, settings).await;
        world.run(&[]);
        world
    }

    /// Around a devnet that is there, without the program.
    #[must_use]
    pub fn around(devnet: impl Into<Arc<Devnet>>, settings: &str) -> Self {
        let devnet = devnet.into();
        let text = with_settings(&demo::config(&devnet), settings);
        let env = devnet.prooflog_env();
        Self::of(devnet, &text, env)
    }

    /// Another proposer of the same rollup alone, without the program: with a data directory of its own, a prover's server
    /// of its own (that of the devnet's last rollup), and one of the L1's accounts by its place.
    #[must_use]
    pub fn beside(&self, account: usize, settings: &str) -> Self {
        let devnet = Arc::clone(&self.devnet);
        let text = first_chain(&with_settings(&demo::config(&devnet), settings));
        let prover = &devnet.rollups.last().unwrap().prover;
        let text = text.replace(&self.rollup.prover, prover);
        let mut env = devnet.prooflog_env();
        for (name, value) in &mut env {
            if name == "PROOFLOG_HD_PATH" {
                *value = format!("m/44'/60'/0'/0/{account}");
            }
        }
        Self::of(devnet, &text, env)
    }

    /// The configuration has the first of the devnet's rollups and no other from now on.
    pub fn serve_one(&self) {
        let text = std::fs::read_to_string(&self.setup.config).unwrap();
        std::fs::write(&self.setup.config, first_chain(&text)).unwrap();
    }

    fn of(devnet: Arc<Devnet>, text: &str, env: Vec<(String, String)>) -> Self {
        let dir = scratch().unwrap();
        let setup = Setup::write(dir.path(), text, env).unwrap();
        let rollup = devnet.rollups.first().cloned().unwrap();
        Self { devnet, rollup, setup, engine: None, story: None, printed_before: 0, _dir: dir }
    }

    /// Moves the log of a program that does not run to another place, as onto another machine.
    pub fn move_log(&mut self, name: &str) {
        self.story = None;
        let other = self.setup.data.with_file_name(name);
        std::fs::rename(&self.setup.data, &other).unwrap();
        self.setup.data = other;
    }

    /// Waits until the program ends by itself: its exit code and everything that it printed.
    pub fn ended(&mut self) -> (Option<i32>, String) {
        let status = self.engine.take().unwrap().wait().unwrap();
        (status.code(), self.setup.printed())
    }

    /// Sends the program a signal, by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().unwrap().to_string();
        let told = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
        assert!(told.success(), "kill -{name} {pid}");
    }

    /// Starts the program, and follows its log from the first time on.
    pub fn run(&mut self, arguments: &[&str]) {
        self.printed_before = self.setup.printed().len();
        self.engine = Some(Engine::start_with(&self.setup, arguments).unwrap());
        if self.story.is_none() {
            self.story = Some(Story::follow(&self.setup, LIMIT).unwrap_or_else(|error| self.fail(&error)));
        }
    }

    /// Kills the program as a crash would.
    pub fn kill(&mut self) {
        self.engine.take().unwrap().kill().unwrap();
    }

    /// Waits until the program printed something: it listens for signals before it does.
    pub fn listens(&mut self) {
        while self.setup.printed().len() == self.printed_before
            && self.engine.as_mut().is_some_and(Engine::runs)
        {
            std::thread::yield_now();
        }
    }

    /// Ends the program in order; it can be started again.
    pub fn stop(&mut self) {
        self.listens();
        if let Some(engine) = self.engine.take() {
            let status = engine.stop().unwrap();
            assert!(status.success(), "{status}: {}", self.setup.printed());
        }
    }

    /// Process id of the program, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.engine.as_ref().map(Engine::pid)
    }

    /// Ends the test: what went wrong, and what the program printed last.
    pub fn fail<T>(&self, error: &dyn std::fmt::Display) -> T {
        let printed = self.setup.printed();
        let mut from = printed.len().saturating_sub(SHOWN);
        while !printed.is_char_boundary(from) {
            from += 1;
        }
        panic!("{error}\n--- what prooflog printed last:\n{}", printed.get(from..).unwrap_or_default())
    }

    /// Waits until a type of event was recorded so often in all; that event.
    pub fn wait(&mut self, name: &str, times: usize) -> Value {
        let mut story = self.story.take().unwrap();
        let found = story.wait_for(name, times).cloned();
        self.story = Some(story);
        found.unwrap_or_else(|error| self.fail(&error))
    }

    /// Waits for the next event of a type; only what is not read yet counts.
    pub fn wait_next(&mut self, name: &str) -> Value {
        let seen = self.count(name);
        self.wait(name, seen + 1)
    }

    /// Waits for an event at or after a place in the story (see [`World::mark`]) of which something holds.
    pub fn wait_for(&mut self, from: usize, wanted: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut story = self.story.take().unwrap();
        let waited = story.wait_until(wanted, |events| events.iter().skip(from).any(&holds));
        let found = story.events().iter().skip(from).find(|event| holds(event)).cloned();
        self.story = Some(story);
        match (waited, found) {
            (Ok(()), Some(found)) => found,
            (Err(error), _) => self.fail(&error),
            (Ok(()), None) => self.fail(&format!("no {wanted}")),
        }
    }

    /// Waits until the first rollup is not ready for a reason with these words.
    pub fn unready(&self, words: &str) {
        // Each look is a call, so this takes its time.
        let mut looks = (0..20_000).map(|_| self.setup.ready(Some(self.rollup.chain)).unwrap());
        let found = looks.find(|(_, body)| body.to_string().contains(words));
        let (is_ready, body) = found.unwrap_or_else(|| self.fail(&format!("nothing with `{words}`")));
        assert!(!is_ready, "{body}");
    }

    /// The place after everything read so far.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.story().events().len()
    }

    /// What is recorded.
    #[must_use]
    pub fn story(&self) -> &Story {
        self.story.as_ref().unwrap()
    }

    /// How often a type was recorded so far.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.story().count(name)
    }

    /// Reads everything that is recorded up to now: an event of our own making is the mark.
    pub fn catch_up(&mut self) {
        let flushed = self.count("FlushRequested");
        self.command(&["flush", "--to", "999999999"]);
        self.wait("FlushRequested", flushed + 1);
    }

    /// Gives the running program a command, which must succeed.
    pub fn command(&self, arguments: &[&str]) {
        let output = self.setup.run(arguments).unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Ends the program and looks at everything once more.
    pub async fn end(mut self) {
        self.stop();
        self.wait("EngineStopped", 1);
        self.setup.json(&["verify"]).unwrap_or_else(|error| self.fail(&error));
        demo::included_once(self.story().events()).unwrap_or_else(|error| self.fail(&error));
        for rollup in self.devnet.rollups.clone() {
            let outputs = self.devnet.outputs(&rollup).await.unwrap();
            let above = |pair: &[Output]| match pair {
                [one, next] => one.l2BlockNumber < next.l2BlockNumber,
                _ => true,
            };
            assert!(outputs.windows(2).all(above), "outputs are submitted once, each above the one before");
            for output in outputs {
                let block = u64::try_from(output.l2BlockNumber).unwrap();
                let real = self.devnet.root(&rollup, block).await.unwrap();
                assert_eq!(output.outputRoot, real, "block {block} of chain {}", rollup.chain);
            }
        }
    }

    /// What the prover's server counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.devnet.prover.stats(self.rollup.chain).unwrap()
    }

    /// Requests for proofs, whatever came of them.
    #[must_use]
    pub fn requests(&self) -> u64 {
        let calls = self.stats().calls;
        calls.iter().filter(|(path, _)| path.contains("request")).map(|(_, times)| times).sum()
    }

    /// Has faults of the prover happen from now on; they take the place of those there are.
    pub fn faults(&self, faults: Vec<Fault>) {
        self.devnet.prover.script(self.rollup.chain, |script| script.faults = faults).unwrap();
    }
}

/// A configuration without all rollups but the first.
fn first_chain(text: &str) -> String {
    let parts: Vec<&str> = text.splitn(3, "[[chain]]").collect();
    parts.into_iter().take(2).collect::<Vec<_>>().join("[[chain]]")
}

/// The configuration with settings for all rollups, in the place of those it has.
#[must_use]
pub fn with_settings(text: &str, settings: &str) -> String {
    let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let given: Vec<String> = settings.lines().map(key).collect();
    let kept: Vec<&str> = text.lines().filter(|line| !given.contains(&key(line))).collect();
    kept.join("\n").replacen("[defaults]\n", &format!("[defaults]\n{settings}\n"), 1) + "\n"
}
