//! What is wrong with a configuration is told before anything costs, and operators are obeyed and named.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::io::Write;
use std::process::{Command, Stdio};

use prooflog_devnet::DevnetConfig;
use prooflog_e2e::{Setup, World, quick};
use serde_json::Value;

const KEY: &str = "0x0000000000000000000000000000000000000000000000000000000000c0ffee";

/// A rollup that nothing is wrong with, as far as a file can tell.
fn chain(id: u64) -> String {
    format!(
        "[[chain]]\nid = {id}\nl1-rpc = [\"http://127.0.0.1:9\"]\nrollup-rpc = [\"http://127.0.0.1:9/{id}\"]\n\
         oracle-address = \"0x{id:040x}\"\nprover.url = \"http://127.0.0.1:9/prover-{id}\"\nprivate-key = \"{KEY}\"\n"
    )
}

/// What `prooflog run` says to a configuration that it must not start with: its exit code and words.
fn refused(text: &str, env: &[(&str, &str)]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let setup = Setup::write(dir.path(), text, env).unwrap();
    let output = setup.run(&["run", "--config", setup.config.to_str().unwrap()]).unwrap();
    assert!(!setup.data.join("HEAD").exists(), "a log was begun");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A configuration, variables of the environment, and what must be said of them.
type Case<'a> = (String, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn what_cannot_be_right_for_the_whole_process_stops_the_start_and_names_the_key() {
    let both = chain(10) + &chain(11);
    let cases: [Case<'_>; 13] = [
        (format!("colour = 1\n{}", chain(10)), &[], "colour (prooflog.toml:1): is not a known key"),
        (chain(10), &[("PROOFLOG_L1_RPCS", "http://l1")], "did you mean PROOFLOG_L1_RPC?"),
        (format!("metrics.port = 70000\n{}", chain(10)), &[], "metrics.port (prooflog.toml:1)"),
        (format!("metrics.port = \"x\n{}", chain(10)), &[], "prooflog.toml:1"),
        (chain(10), &[("HSM_KEY_NAME", "key")], "gcp.key (variable HSM_KEY_NAME)"),
        (chain(10), &[("PROOFLOG_MNEMONIC", "test test")], "PROOFLOG_MNEMONIC"),
        (both.replace("prover-11", "prover-10"), &[], "prover.url"),
        (both.replace(&format!("0x{:040x}", 11), &format!("0x{:040x}", 10)), &[], "oracle-address"),
        (both.replace("id = 11", "id = 10"), &[], "chain-id"),
        (chain(10).replace(KEY, "0x00c0ffee"), &[], "private-key (prooflog.toml:7)"),
        (chain(10).replace("private-key", "private-key-file"), &[], "private-key-file (prooflog.toml:7)"),
        (chain(10).replace("oracle-address", "oracle-adress"), &[], "did you mean oracle-address?"),
        (String::new(), &[], "is missing"),
    ];
    for (text, env, words) in cases {
        let (code, said) = refused(&text, env);
        // The path before the file's name is that of the day.
        let said = said.split_whitespace().map(|word| match word.rfind("/prooflog.toml") {
            Some(at) if word.starts_with('(') => format!("({}", &word[at + 1..]),
            Some(at) => word[at + 1..].to_owned(),
            None => word.to_owned(),
        });
        let said = said.collect::<Vec<_>>().join(" ");
        assert_eq!(code, Some(2), "{words}: {said}");
        assert!(said.contains(words), "no `{words}` in: {said}");
        assert!(!said.contains("c0ffee"), "a key was shown: {said}");
    }
}

/// The configuration with lines added to one of its rollups.
fn with_chain(text: &str, number: usize, change: impl Fn(&str) -> String) -> String {
    let parts: Vec<&str> = text.split("[[chain]]").collect();
    let mut made = parts[0].to_owned();
    for (at, part) in parts.iter().enumerate().skip(1) {
        made.push_str("[[chain]]");
        made.push_str(&if at == number + 1 { change(part.trim_end()) + "\n\n" } else { (*part).to_owned() });
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rollup_that_is_wrong_in_its_own_way_stops_alone_and_says_why_everywhere() {
    const NOBODY: &str = "0x00000000000000000000000000000000000000aa";
    let mut world = World::new(DevnetConfig { rollups: 6, prelude: 20, ..quick() }, "").await;
    let ids: Vec<u64> = world.devnet.rollups.iter().map(|rollup| rollup.chain).collect();
    let oracle = world.devnet.rollups[2].oracle.to_string();
    let mut text = std::fs::read_to_string(&world.setup.config).unwrap();
    text = with_chain(&text, 1, |part| part.replace(&format!("id = {}", ids[1]), "id = 999"));
    text = with_chain(&text, 2, |part| part.replace(&oracle, NOBODY));
    text = with_chain(&text, 3, |part| format!("{part}\nspan.blocks = 0"));
    text = with_chain(&text, 4, |part| format!("{part}\nsigner.address = \"{NOBODY}\""));
    text = with_chain(&text, 5, |part| part.replace(&format!("id = {}", ids[5]), "id = \"ten\""));
    std::fs::write(&world.setup.config, text).unwrap();
    world.run(&[]);
    world.wait("SubmissionConfirmed", 1);

    let wrong = [
        (999, "the rollup node serves chain"),
        (ids[2], "there is no contract at"),
        (ids[3], "span.blocks"),
        (ids[4], "the key is that of"),
    ];
    let metrics = world.setup.metrics().unwrap();
    let stopped = |chain: u64| {
        metrics.value(&format!("prooflog_chain_status{{chain=\"{chain}\",status=\"stopped\"}}")) == Some(1.0)
    };
    let status = world.setup.json(&["status"]).unwrap();
    for (chain, reason) in wrong {
        assert!(stopped(chain), "{chain}: {}", metrics.text());
        let (ready, body) = world.setup.ready(Some(chain)).unwrap();
        assert!(!ready && body.to_string().contains(reason), "{chain}: {body}");
        let line = status.iter().find(|line| line["chain"] == chain).unwrap_or(&Value::Null);
        assert_eq!(line["process"], "stopped", "{status:?}");
        assert!(line["reason"].as_str().unwrap().contains(reason), "{line}");
    }
    let nameless = status.iter().find(|line| line["chain"].is_null()).unwrap();
    assert!(nameless["reason"].as_str().unwrap().contains("not a whole number"), "{nameless}");
    let shown = String::from_utf8(world.setup.run(&["status"]).unwrap().stdout).unwrap();
    assert!(shown.contains("is STOPPED: there is no contract at"), "{shown}");

    assert!(!stopped(ids[0]));
    let running = status.iter().find(|line| line["chain"] == ids[0]).unwrap();
    assert_eq!(running["process"], "running", "{running}");
    assert!(world.setup.ready(Some(ids[0])).unwrap().0 && world.setup.ready(None).unwrap().0);
    // What runs is seen in full: numbers that come from outside, and calls that were made.
    let value = |name: &str| metrics.value(&format!("{name}{{chain=\"{}\"}}", ids[0]));
    assert!(value("succinct_l2_unsafe_head_block") > Some(2.0), "{}", metrics.text());
    assert!(value("prooflog_settlement_lag_seconds").is_some_and(|lag| lag >= 0.0));
    for peer in ["l1", "rollup_node", "prover"] {
        assert!(metrics.value(&format!("prooflog_calls_total{{peer=\"{peer}\"}}")) > Some(0.0), "{peer}");
    }
    assert_eq!(world.setup.get("/readyz?chain=77").unwrap().0, 404);
    assert_eq!(world.setup.get("/healthz").unwrap().0, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operator_command_is_recorded_with_the_name_of_who_gave_it() {
    let mut world = World::new(DevnetConfig { prelude: 60, ..quick() }, "").await;
    let text = std::fs::read_to_string(&world.setup.config).unwrap();
    let port = "rpc.enabled = true\nrpc.enable-admin = true\nrpc.port = 0";
    // One proof at a time, so that some spans still wait when everything is paused.
    let text = text.replace("max-proofs-in-flight = 8", "max-proofs-in-flight = 1");
    std::fs::write(&world.setup.config, text.replace("rpc.enabled = false", port)).unwrap();
    std::fs::create_dir_all(&world.setup.data).unwrap();
    let mut users = world.setup.command(&["users", "set", "ann", "operate"]).unwrap();
    let mut users = users.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    users.stdin.take().unwrap().write_all(b"a long password\n").unwrap();
    assert!(users.wait().unwrap().success());
    world.run(&[]);
    world.wait("SpanCreated", 4);

    // Beside the engine: who is logged in, or who `--as` names.
    world.command(&["pause", "all", "--note", "look at it first", "--as", "bea"]);
    world.wait("Paused", 3);
    let waiting = world.setup.json(&["requests"]).unwrap();
    let unit =
        waiting.iter().rfind(|line| line["phase"] == "ready").unwrap()["unit"].as_str().unwrap().to_owned();
    for (command, event) in
        [("park", "Parked"), ("unpark", "Unparked"), ("park", "Parked"), ("retry", "Unparked")]
    {
        world.command(&[command, &unit, "--as", "bea"]);
        let seen = world.wait_next(event);
        assert_eq!((&seen["actor"], &seen["stream"]), (&"operator:bea".into(), &unit.as_str().into()));
    }
    world.command(&["cancel", &unit, "--as", "bea"]);
    assert_eq!(world.wait("Cancelled", 1)["actor"], "operator:bea");

    // From elsewhere: by name and password, whatever name is claimed.
    let printed = world.setup.printed();
    let address = printed.lines().find_map(|line| line.split_once("operators address=")).unwrap().1;
    let address = address.split_whitespace().next().unwrap();
    let engine = format!("http://{address}");
    // Without its directory: which rollup there is says the engine too.
    let program = world.setup.command(&["status"]).unwrap().get_program().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    let remote = |arguments: &[&str], password: &str| {
        let mut command = Command::new(&program);
        command.args([&["--engine", &engine], arguments].concat()).current_dir(&elsewhere);
        command.env("PROOFLOG_USER", "ann").env("PROOFLOG_PASSWORD", password).output().unwrap()
    };
    let denied = remote(&["resume", "planning"], "a wrong one, surely");
    assert!(!denied.status.success() && !String::from_utf8_lossy(&denied.stderr).contains("a wrong one"));
    // Strangers who say nothing keep their places for some seconds only.
    let _silent: Vec<_> = (0..64).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    for arguments in [&["resume", "all", "--as", "somebody"][..], &["flush", "--to", "40"], &["drain"]] {
        let done = remote(arguments, "a long password");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    for (event, times) in [("Resumed", 3), ("FlushRequested", 1), ("Paused", 4)] {
        assert_eq!(world.wait(event, times)["actor"], "operator:ann", "{event}");
    }
    world.command(&["resume", "planning"]);
    assert_eq!(world.wait("Resumed", 4)["actor"], "operator:tester");
    world.wait("SubmissionConfirmed", 1);
    world.end().await;
}
