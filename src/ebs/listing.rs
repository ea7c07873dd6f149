//! Listings as they come over the wire, read here rather than by AWS's client.
//!
//! A page has up to 10,000 entries, and a fully written volume of 64 TiB 13,422 pages: what one entry costs decides
//! what a listing costs. AWS's client copies each token several times on its way into a value of its own, for 0.2 us
//! an entry; here an entry borrows from the body until it is ours. Everything else (signing, deadlines, errors) stays
//! with the client: [`Aside`] only takes the body of a success before its parser gets it.

use crate::aws::broken_body;
use crate::ebs::convert::corrupt;
use crate::fault::{Fault, Place};
use aws_sdk_ebs::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_ebs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ebs::error::BoxError;
use aws_sdk_ebs::primitives::{ByteStream, SdkBody};
use serde::Deserialize;
use std::borrow::Cow;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

/// No page is longer: 10,000 entries of two tokens each, of which the service's have some 100 characters.
const LONGEST: usize = 64 << 20;

/// A page of either listing (EBS direct APIs reference, "ListSnapshotBlocks", "ListChangedBlocks"). What is absent,
/// null or empty is the reader's to judge.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listing<E> {
    pub(super) block_size: Option<i32>,
    pub(super) volume_size: Option<i64>,
    pub(super) next_token: Option<String>,
    #[serde(alias = "Blocks", alias = "ChangedBlocks")]
    pub(super) entries: Option<Vec<E>>,
}

/// An entry of ListSnapshotBlocks.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BlockEntry<'a> {
    pub(super) block_index: Option<i32>,
    #[serde(borrow)]
    pub(super) block_token: Option<Text<'a>>,
}

/// An entry of ListChangedBlocks.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeEntry<'a> {
    pub(super) block_index: Option<i32>,
    #[serde(borrow)]
    pub(super) first_block_token: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) second_block_token: Option<Text<'a>>,
}

/// Text that is copied only where it holds escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'a, E: Deserialize<'a>> Listing<E> {
    /// Fails with `Corrupt` where `body` is not what the API promises.
    pub(super) fn read(body: &'a [u8], at: &Place) -> Result<Self, Fault> {
        // Text is looked at once as a whole, not token by token.
        let text = std::str::from_utf8(body).ok();
        let read = text.and_then(|text| serde_json::from_str(text).ok());
        read.ok_or_else(|| corrupt(at, "the service's reply cannot be read"))
    }
}

/// Takes the body of a successful answer out of the client's hands; errors stay its own to read.
#[derive(Clone, Debug, Default)]
pub(super) struct Aside(Arc<Mutex<Option<SdkBody>>>);

impl Aside {
    /// The whole of the body, once the answer has begun.
    pub(super) async fn whole(self, at: &Place) -> Result<Vec<u8>, Fault> {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let body = body.unwrap_or_else(SdkBody::empty);
        let expected = body.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        let mut whole = Vec::with_capacity(expected.min(LONGEST));
        let mut stream = ByteStream::new(body);
        while let Some(frame) = stream.next().await {
            let frame = frame.map_err(|error| broken_body(&error, at.clone()))?;
            if whole.len() + frame.len() > LONGEST {
                return Err(corrupt(at, format!("the page is longer than {LONGEST} bytes")));
            }
            whole.extend_from_slice(&frame);
        }
        Ok(whole)
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Aside {
    fn name(&self) -> &'static str {
        "Aside"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        if response.status().is_success() {
            let body = mem::replace(response.body_mut(), SdkBody::from("{}"));
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_borrowed_and_copied_only_where_they_hold_escapes() {
        let body = br#"{"Blocks":[{"BlockIndex":1,"BlockToken":"AAE+/="},{"BlockToken":"A\/B","New":[{}],"BlockIndex":2}]}"#;
        let listing: Listing<BlockEntry<'_>> = Listing::read(body, &Place::Service).unwrap();
        let entries = listing.entries.unwrap();
        let tokens: Vec<_> = entries.iter().map(|entry| &entry.block_token.as_ref().unwrap().0).collect();
        assert!(matches!(tokens[0], Cow::Borrowed("AAE+/=")));
        assert!(matches!(tokens[1], Cow::Owned(token) if token == "A/B"));
        assert_eq!(entries[1].block_index, Some(2), "whatever the order, whatever the service adds");
    }

    #[tokio::test]
    async fn a_page_without_an_end_is_not_read_on() {
        let endless = Aside(Arc::new(Mutex::new(Some(SdkBody::from(vec![b' '; LONGEST + 1])))));
        let fault = endless.whole(&Place::Service).await.unwrap_err();
        assert!(fault.to_string().contains("longer"), "{fault}");
    }
}
