//! The calls of the protocol about persistent subscriptions.
//!
//! Who may make which is said in the groups themselves. What a crash means: a change that was not answered may have
//! happened; clients see it in the list.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tonic::{Request, Response, Status, Streaming};

use super::asked::{Asked, key};
use super::consumer::{self, Inbox};
use super::definition::{Change, Key};
use super::info::Seen;
use super::{Groups, Joined};
use crate::authority::Caller;
use crate::error::Refusal;
use crate::held::Place;
use crate::names;
use crate::show::IdForm;
use crate::wire::client::Empty;
use crate::wire::persistent_subscriptions::persistent_subscriptions_server::PersistentSubscriptions;
use crate::wire::persistent_subscriptions::{
    CreateReq, CreateResp, DeleteReq, DeleteResp, GetInfoReq, GetInfoResp, ListReq, ListResp, ParkedOptions,
    ReadReq, ReplayParkedReq, ReplayParkedResp, TruncateParkedReq, TruncateParkedResp, UpdateReq, UpdateResp,
    delete_req, get_info_req, list_req, parked_options, read_req,
};

/// Answers one call of one caller.
pub(crate) struct Service {
    pub(crate) groups: Arc<Groups>,
    pub(crate) caller: Caller,
    pub(crate) seen: Seen,
    /// The call's place, or the subscription's, until it is taken by what is answered.
    pub(crate) place: std::sync::Mutex<Option<Place>>,
    /// How long the first message may take.
    pub(crate) hello: Duration,
}

impl Service {
    /// Makes a change to its end, whether or not the caller waits for it.
    async fn alone<F>(&self, change: impl FnOnce(Arc<Groups>, Caller) -> F) -> Result<(), Status>
    where
        F: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        let changed = tokio::spawn(change(Arc::clone(&self.groups), self.caller.clone()));
        Ok(changed.await.map_err(|_| Status::internal("the change was given up"))??)
    }
}

#[tonic::async_trait]
impl PersistentSubscriptions for Service {
    type ReadStream = Inbox;

    async fn create(&self, request: Request<CreateReq>) -> Result<Response<CreateResp>, Status> {
        let asked = Asked::parse(request.into_inner().options)?;
        self.alone(|groups, caller| async move { groups.create(&caller, asked).await }).await?;
        Ok(Response::new(CreateResp {}))
    }

    async fn update(&self, request: Request<UpdateReq>) -> Result<Response<UpdateResp>, Status> {
        let asked = Asked::parse(request.into_inner().options)?;
        self.alone(|groups, caller| async move { groups.update(&caller, asked).await }).await?;
        Ok(Response::new(UpdateResp {}))
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        use delete_req::options::StreamOption;
        let options = request.into_inner().options.ok_or_else(missing)?;
        let (name, is_all) = match options.stream_option {
            Some(StreamOption::StreamIdentifier(name)) => (Some(name), false),
            Some(StreamOption::All(_)) => (None, true),
            None => (None, false),
        };
        let key = key(name, is_all, options.group_name)?;
        self.alone(|groups, caller| async move { groups.delete(&caller, key).await }).await?;
        Ok(Response::new(DeleteResp {}))
    }

    async fn read(&self, request: Request<Streaming<ReadReq>>) -> Result<Response<Inbox>, Status> {
        use read_req::options::StreamOption;
        let mut requests = request.into_inner();
        let options = consumer::options(&mut requests, self.hello).await?;
        let (name, is_all) = match options.stream_option {
            Some(StreamOption::StreamIdentifier(name)) => (Some(name), false),
            Some(StreamOption::All(_)) => (None, true),
            None => (None, false),
        };
        let key = key(name, is_all, options.group_name)?;
        let ids = options.uuid_option.as_ref().map_or(IdForm::Numbers, IdForm::asked);
        let place = crate::lock(&self.place).take();
        let place = place.ok_or_else(|| Status::internal("the call was answered before"))?;
        let wanted = (options.buffer_size, ids, self.seen.clone());
        // By itself, so that a call that is given up meanwhile leaves no consumer behind.
        let (groups, caller) = (Arc::clone(&self.groups), self.caller.clone());
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            match groups.join(&caller, &key, wanted, place).await {
                Ok(Joined { number, commands, inbox, gone }) => {
                    drop(answer.send(Ok(inbox)));
                    consumer::listen(number, key, requests, commands, gone).await;
                }
                Err(refusal) => drop(answer.send(Err(refusal))),
            }
        });
        let inbox = answered.await.map_err(|_| Status::internal("the call was given up"))?;
        Ok(Response::new(inbox?))
    }

    async fn get_info(&self, request: Request<GetInfoReq>) -> Result<Response<GetInfoResp>, Status> {
        use get_info_req::options::StreamOption;
        let options = request.into_inner().options.ok_or_else(missing)?;
        let (name, is_all) = match options.stream_option {
            Some(StreamOption::StreamIdentifier(name)) => (Some(name), false),
            Some(StreamOption::All(_)) => (None, true),
            None => (None, false),
        };
        let info = self.groups.info(&self.caller, &key(name, is_all, options.group_name)?).await?;
        Ok(Response::new(GetInfoResp { subscription_info: Some(info) }))
    }

    async fn replay_parked(
        &self,
        request: Request<ReplayParkedReq>,
    ) -> Result<Response<ReplayParkedResp>, Status> {
        let some = parked(request.into_inner().options)?;
        let becomes = Change::ParkedReplayed;
        self.alone(|groups, caller| async move { groups.unpark(&caller, some, becomes).await }).await?;
        Ok(Response::new(ReplayParkedResp {}))
    }

    async fn truncate_parked(
        &self,
        request: Request<TruncateParkedReq>,
    ) -> Result<Response<TruncateParkedResp>, Status> {
        let some = parked(request.into_inner().options)?;
        let becomes = Change::ParkedTruncated;
        self.alone(|groups, caller| async move { groups.unpark(&caller, some, becomes).await }).await?;
        Ok(Response::new(TruncateParkedResp {}))
    }

    async fn list(&self, request: Request<ListReq>) -> Result<Response<ListResp>, Status> {
        use list_req::options::ListOption;
        use list_req::stream_option::StreamOption;
        let source = match request.into_inner().options.and_then(|options| options.list_option) {
            Some(ListOption::ListAllSubscriptions(_)) => None,
            Some(ListOption::ListForStream(of)) => Some(match of.stream_option {
                Some(StreamOption::Stream(stream)) => names::decode(&stream.stream_name)?,
                Some(StreamOption::All(_)) => super::definition::ALL.to_owned(),
                None => return Err(Refusal::invalid("the stream is missing").status()),
            }),
            None => return Err(Refusal::invalid("the list option is missing").status()),
        };
        let subscriptions = self.groups.list(&self.caller, source.as_deref()).await?;
        Ok(Response::new(ListResp { subscriptions }))
    }

    async fn restart_subsystem(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.alone(|groups, _| async move { groups.restart().await }).await?;
        Ok(Response::new(Empty {}))
    }
}

/// Some of a group's parked ones: how many at most.
fn parked(options: Option<ParkedOptions>) -> Result<(Key, u64), Status> {
    use parked_options::{StopAtOption, StreamOption};
    let options = options.ok_or_else(missing)?;
    let (name, is_all) = match options.stream_option {
        Some(StreamOption::StreamIdentifier(name)) => (Some(name), false),
        Some(StreamOption::All(_)) => (None, true),
        None => (None, false),
    };
    let most = match options.stop_at_option {
        Some(StopAtOption::StopAt(most)) => {
            u64::try_from(most).map_err(|_| Refusal::invalid("the number of parked events is negative"))?
        }
        Some(StopAtOption::NoLimit(_)) | None => u64::MAX,
    };
    Ok((key(name, is_all, options.group_name)?, most))
}

fn missing() -> Status {
    Refusal::invalid("the options are missing").status()
}
