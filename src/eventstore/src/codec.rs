//! Answers that are encoded already: bytes of one message, which many calls may share.

use std::marker::PhantomData;

use bytes::{Buf as _, BufMut as _, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Requests of type `T` in, bytes out.
#[derive(Debug)]
pub struct Encoded<T>(PhantomData<T>);

impl<T> Default for Encoded<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Default + Send + 'static> Codec for Encoded<T> {
    type Encode = Bytes;
    type Decode = T;
    type Encoder = Bytewise;
    type Decoder = Self;

    fn encoder(&mut self) -> Bytewise {
        Bytewise
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<T: Message + Default> Decoder for Encoded<T> {
    type Item = T;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        let message = T::decode(source.copy_to_bytes(source.remaining()));
        message.map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

/// Writes bytes as they are.
#[derive(Debug)]
pub struct Bytewise;

impl Encoder for Bytewise {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}
