//! L1 endpoints that cannot be believed: a stale backend behind a load balancer, another fork, one that goes down.

use prooflog_devnet::{Anvil, AnvilConfig, Backend, Balancer, Devnet, Oracle, Sender};
use prooflog_e2e::World;

use crate::{confirm, is, ready, since};

/// The L1 nodes, as the program's setting.
fn through(urls: &[&str]) -> String {
    let quoted: Vec<String> = urls.iter().map(|url| format!("\"{url}\"")).collect();
    format!("l1-rpc = [{}]", quoted.join(", "))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stale_backend_of_a_load_balancer_never_looks_like_a_rollback() {
    let devnet = Devnet::start(ready(), &|_| {}).await.unwrap();
    let backends = [Backend::Fresh, Backend::Behind(5), Backend::Fresh];
    let balancer = Balancer::start(&devnet.l1, &backends).await.unwrap();
    let mut world = World::around(devnet, &format!("{}\nmax-members = 1", through(&[balancer.url()])));
    world.run(&[]);
    world.wait("SubmissionConfirmed", 3);
    let asked = balancer.asked();
    assert!(asked[1] > 20, "the stale one was asked as often as the others: {asked:?}");
    let believed = ["ContractRolledBack", "TxReorged", "NonceDrifted", "CheckpointLost", "TxAbandoned"];
    assert_eq!(believed.map(|name| world.count(name)), [0; 5]);
    assert_eq!(world.stats().paid_twice(), []);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_on_another_fork_is_outvoted_and_one_that_goes_down_is_done_without() {
    let devnet = Devnet::start(ready(), &|_| {}).await.unwrap();
    let arguments = ["--fork-url", devnet.l1.url(), "--slots-in-an-epoch", "1"].map(str::to_owned);
    let config = AnvilConfig { chain_id: 900, block_time: 1, timestamp: None, arguments: arguments.to_vec() };
    let fork = Anvil::start(&config).unwrap();
    // On the fork the contract is in another mode, and the chain is ahead: who believes it would say so.
    let on = Oracle::enableOptimisticModeCall { period: "60".parse().unwrap() };
    let oracle = devnet.rollups[0].oracle;
    Sender::new(fork.rpc().clone()).call(devnet.parts.owner, oracle, &on).await.unwrap();
    fork.mine(2).await.unwrap();
    let balancer = Balancer::start(&devnet.l1, &[Backend::Fresh]).await.unwrap();
    let settings = through(&[fork.url(), balancer.url(), devnet.l1.url()]);
    let mut world = World::around(devnet, &settings);
    world.run(&[]);
    world.wait("SubmissionConfirmed", 1);
    let modes = since(&world, 0, "ContractObserved");
    let believed = modes.iter().any(|event| event["data"]["values"]["optimistic"] == true);
    assert!(!believed, "{modes:?}");
    assert!(world.setup.printed().contains("disagrees with the others"), "{}", world.setup.printed());

    drop(fork);
    balancer.set(&[Backend::Down]);
    confirm(&mut world);
    assert!(!world.story().events().iter().any(|event| is(event, "ContractRolledBack")));
    world.end().await;
}
