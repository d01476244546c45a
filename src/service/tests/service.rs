//! The running engine over the memory log: commands are durable when they are answered, a call that dies is one that
//! failed, an end in order is on record, and a log that does not take a batch ends everything.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prooflog_core::{Effect, EffectKey, Outcome, Pacing};
use prooflog_engine::RingError;
use prooflog_events::event::{ChainRegistered, EngineStarted};
use prooflog_events::ids::{Address, ChainId, Hash32, L1ChainId, L1Number, L1Ref, L2Block, LogId, Micros};
use prooflog_events::input::{ChainConfigured, Command, NodeRead, OperatorCommanded};
use prooflog_events::policy::Policy;
use prooflog_events::values::Control;
use prooflog_log::{Fault, Log, MemorySequence};
use prooflog_replay::Cadence;
use prooflog_service::{CommandError, Options, Outside, Reply, Service, ServiceError, Watcher};
use tokio::sync::mpsc;

const CHAIN: ChainId = ChainId(10);

/// What the world does with a call.
#[derive(Clone, Copy)]
enum World {
    Hangs,
    Panics,
    /// Tells of a finalized head, and nothing else.
    TellsHeads,
}

impl Outside for World {
    async fn perform(&self, effect: Effect) -> Reply {
        match (self, effect) {
            (Self::Hangs, _) => pending().await,
            (Self::Panics, effect) => panic!("{effect:?}"),
            (Self::TellsHeads, Effect::ReadNode { chain }) => Reply::answer(NodeRead {
                chain,
                finalized: L2Block(1_000),
                hash: Hash32::ZERO,
                current_l1: L1Ref { number: L1Number(5), hash: Hash32::ZERO },
                finalized_time: Micros(0),
            }),
            (Self::TellsHeads, _) => Reply::Failed("not today".into()),
        }
    }
}

struct Ends(mpsc::UnboundedSender<(EffectKey, Outcome, Option<String>)>);

impl Watcher for Ends {
    fn ended(&mut self, key: &EffectKey, outcome: Outcome, _: Duration, failure: Option<&str>) {
        drop(self.0.send((key.clone(), outcome, failure.map(str::to_owned))));
    }
}

fn started() -> EngineStarted {
    EngineStarted { release: "test".into(), behaviour: 1, format: 0, policy: Hash32::ZERO }
}

type Log1 = Arc<Log<MemorySequence>>;

fn start(world: World, watcher: impl Watcher) -> (Log1, Service) {
    let log = Arc::new(Log::open(MemorySequence::new(LogId([3; 16]))).unwrap());
    let ticks = AtomicUsize::new(0);
    let options = Options {
        pacing: Pacing { retry_min: 60, ..Pacing::default() },
        // Every look at the clock is a microsecond later.
        clock: Box::new(move || Micros(1_700_000_000_000_000 + ticks.fetch_add(1, Ordering::Relaxed) as u64)),
        started: started(),
        cadence: Cadence::default(),
        grace: Duration::from_millis(10),
    };
    let service = Service::start(Arc::clone(&log), Arc::new(world), watcher, options).unwrap();
    (log, service)
}

fn configured() -> ChainConfigured {
    let registration = ChainRegistered {
        name: "ten".into(),
        l1: L1ChainId(1),
        oracle: Address([9; 20]),
        l1_genesis: Hash32::ZERO,
        l2_genesis: Hash32::ZERO,
    };
    ChainConfigured { chain: CHAIN, registration, policy: Policy::with_signer(Address([7; 20])) }
}

fn pause() -> OperatorCommanded {
    OperatorCommanded {
        name: "ann".into(),
        command: Command::Pause { chain: CHAIN, control: Control::Proving },
        note: "maintenance".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_durable_when_it_is_answered_and_bears_its_operator() {
    let (log, service) = start(World::Hangs, ());
    let handle = service.handle();
    let answered = handle.seen(configured()).await.unwrap();
    assert_eq!(answered.events, ["ChainRegistered", "PolicyChanged"]);
    let answered = handle.command(pause()).await.unwrap();
    assert_eq!(answered.events, ["Paused"]);
    assert!(log.head().position >= answered.position);
    let record = log.reader().record(answered.position).unwrap().unwrap();
    assert_eq!(record.envelope().unwrap().actor.to_string(), "operator:ann");
    assert!(matches!(handle.command(pause()).await, Err(CommandError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_decided_on_and_a_call_that_brings_none_is_made_again_later() {
    let (tell, mut ends) = mpsc::unbounded_channel();
    let (_log, service) = start(World::TellsHeads, Ends(tell));
    let handle = service.handle();
    handle.seen(configured()).await.unwrap();
    let mut heads = None;
    let mut failed = 0;
    while heads.is_none() || failed == 0 {
        match ends.recv().await.unwrap() {
            (EffectKey::ReadNode(CHAIN), outcome, None) => heads = Some(outcome),
            (_, Outcome::Failed, Some(why)) if why == "not today" => failed += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heads, Some(Outcome::News));
    let view = handle.look().await.unwrap();
    assert_eq!(view.state.chains[&CHAIN].finalized.unwrap().block, L2Block(1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_panics_is_one_that_failed() {
    let (tell, mut ends) = mpsc::unbounded_channel();
    let (_log, service) = start(World::Panics, Ends(tell));
    service.handle().seen(configured()).await.unwrap();
    let (_, outcome, why) = ends.recv().await.unwrap();
    assert_eq!(outcome, Outcome::Failed);
    assert!(why.unwrap().contains("bug"));
    assert!(service.handle().look().await.is_ok(), "the engine goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_order_is_the_last_event_and_leaves_the_log_to_the_next() {
    let (log, mut service) = start(World::Hangs, ());
    let handle = service.handle();
    handle.seen(configured()).await.unwrap();
    handle.stop("the test is over").await;
    service.ended().await.unwrap();
    assert_eq!(handle.command(pause()).await, Err(CommandError::Ending));
    let last = log.reader().record(log.head().position).unwrap().unwrap();
    assert_eq!(last.envelope().unwrap().type_name, "EngineStopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_the_log_does_not_take_ends_the_engine_and_nobody_hears_done() {
    let (log, mut service) = start(World::Hangs, ());
    service.handle().seen(configured()).await.unwrap();
    log.sequence().fail_append(1, Fault::NotWritten);
    assert_eq!(service.handle().command(pause()).await, Err(CommandError::Ending));
    let error = service.ended().await.unwrap_err();
    assert!(matches!(error, ServiceError::Append(_) | ServiceError::Ring(RingError::Append(_))), "{error}");
}
