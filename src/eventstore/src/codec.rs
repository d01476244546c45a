//! How messages become bytes, where the usual way costs more than it must.
//!
//! Answers of reads are encoded already: bytes of one message, which many calls may share. An append is mostly one small
//! event and one smaller answer: the usual buffers of 8 KiB for each would be the largest pieces of memory that it takes.

use std::marker::PhantomData;

use bytes::{Buf as _, BufMut as _, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic_prost::{ProstDecoder, ProstEncoder};

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

/// Small requests of type `T` in, mostly; one small answer of type `U` out.
#[derive(Debug)]
pub(crate) struct Brief<T, U>(PhantomData<(T, U)>);

/// Bytes of a request that find room at once; for more, room is made when they are announced.
const ASKED_BYTES: usize = 1 << 10;

/// Bytes of an answer that find room at once.
const ANSWER_BYTES: usize = 128;

/// Bytes after which an encoder hands over what it has: the usual number.
const YIELD_BYTES: usize = 32 << 10;

impl<T, U> Default for Brief<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Brief<T, U>
where
    T: Message + Default + Send + 'static,
    U: Message + Send + 'static,
{
    type Encode = U;
    type Decode = T;
    type Encoder = ProstEncoder<U>;
    type Decoder = ProstDecoder<T>;

    fn encoder(&mut self) -> ProstEncoder<U> {
        ProstEncoder::new(BufferSettings::new(ANSWER_BYTES, YIELD_BYTES))
    }

    fn decoder(&mut self) -> ProstDecoder<T> {
        ProstDecoder::new(BufferSettings::new(ASKED_BYTES, YIELD_BYTES))
    }
}
