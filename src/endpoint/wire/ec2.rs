//! The query protocol of EC2 and STS: numbered parameters in, XML out.

use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::fault::{Fault, Kind};
use crate::snapshot::{ImageId, InstanceId, SnapshotId, Tags, TemplateId, UnixMillis, VolumeId};
use http::StatusCode;
use quick_xml::Writer;
use quick_xml::escape::partial_escape;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use std::fmt::Display;
use std::str::FromStr;

/// EC2's namespace.
pub(in crate::endpoint) const EC2: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
/// STS's namespace.
pub(in crate::endpoint) const STS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// `Name.1`, `Name.2`, ..: the values in order, up to the first gap.
pub(in crate::endpoint) fn numbered<'a>(call: &'a Call, name: &str) -> Vec<&'a str> {
    (1..).map_while(|n| call.query(&format!("{name}.{n}"))).collect()
}

/// Refuses what would have been done, if the request only asks whether it might be.
pub(in crate::endpoint) fn dry_run(call: &Call) -> Result<(), Refusal> {
    if says_yes(call, "DryRun") {
        let message = "Request would have succeeded, but DryRun flag is set.";
        return Err(Refusal::query(StatusCode::PRECONDITION_FAILED, "DryRunOperation", message));
    }
    Ok(())
}

/// A snapshot's id, or EC2's word for one that is none.
pub(in crate::endpoint) fn snapshot_id(text: &str) -> Result<SnapshotId, Refusal> {
    id(text, "InvalidSnapshotID.Malformed", "snap-")
}

/// A volume's id, likewise.
pub(in crate::endpoint) fn volume_id(text: &str) -> Result<VolumeId, Refusal> {
    id(text, "InvalidVolumeID.Malformed", "vol-")
}

/// An image's id, likewise.
pub(in crate::endpoint) fn image_id(text: &str) -> Result<ImageId, Refusal> {
    id(text, "InvalidAMIID.Malformed", "ami-")
}

/// An instance's id, likewise.
pub(in crate::endpoint) fn instance_id(text: &str) -> Result<InstanceId, Refusal> {
    id(text, "InvalidInstanceID.Malformed", "i-")
}

/// A launch template's id, likewise.
pub(in crate::endpoint) fn template_id(text: &str) -> Result<TemplateId, Refusal> {
    id(text, "InvalidLaunchTemplateId.Malformed", "lt-")
}

fn id<T: FromStr>(text: &str, code: &'static str, prefix: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| bad(code, format!("Invalid id: \"{text}\" (expecting \"{prefix}...\")")))
}

/// `Tag.1.Key`, `Tag.1.Value`, ..: tags that a user may give.
pub(in crate::endpoint) fn tags(call: &Call, name: &str) -> Result<Tags, Refusal> {
    let mut tags = Tags::new();
    for n in 1.. {
        let Some(key) = call.query(&format!("{name}.{n}.Key")) else { break };
        let value = call.query(&format!("{name}.{n}.Value")).unwrap_or_default();
        if key.is_empty() || key.starts_with("aws:") {
            let message = "Tag keys may not be empty, and those starting with 'aws:' are reserved";
            return Err(bad("InvalidParameterValue", message));
        }
        if key.chars().count() > 127 || value.chars().count() > 255 {
            let message = "Tag keys have at most 127 characters, values at most 255";
            return Err(bad("InvalidParameterValue", message));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    Ok(tags)
}

/// The tags that something is to be made with. A specification for another kind of thing is refused.
pub(in crate::endpoint) fn new_tags(call: &Call, kind: &str) -> Result<Tags, Refusal> {
    let mut all = Tags::new();
    for n in 1.. {
        let Some(named) = call.query(&format!("TagSpecification.{n}.ResourceType")) else { break };
        if named != kind {
            let message = format!("'{named}' is not a valid taggable resource type for this operation.");
            return Err(bad("InvalidParameterValue", message));
        }
        all.extend(tags(call, &format!("TagSpecification.{n}.Tag"))?);
    }
    Ok(all)
}

/// A 400 of EC2's.
pub(in crate::endpoint) fn bad(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::query(StatusCode::BAD_REQUEST, code, message)
}

/// EC2's word for a snapshot that is not there.
pub(in crate::endpoint) fn no_snapshot(id: &(impl Display + ?Sized)) -> Refusal {
    bad("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist."))
}

/// EC2's word for a volume that is not there.
pub(in crate::endpoint) fn no_volume(id: &(impl Display + ?Sized)) -> Refusal {
    bad("InvalidVolume.NotFound", format!("The volume '{id}' does not exist."))
}

/// EC2's word for an instance that is not there.
pub(in crate::endpoint) fn no_instance(id: &(impl Display + ?Sized)) -> Refusal {
    bad("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"))
}

/// EC2's word for an image that is not there.
pub(in crate::endpoint) fn no_image(id: &(impl Display + ?Sized)) -> Refusal {
    bad("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"))
}

/// A parameter that must be there.
pub(in crate::endpoint) fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str, Refusal> {
    let message = || format!("The request must contain the parameter {name}");
    call.query(name).ok_or_else(|| bad("MissingParameter", message()))
}

/// What a shelf could not do, in EC2's words.
pub(in crate::endpoint) fn refusal(fault: &Fault) -> Refusal {
    match fault.kind {
        Kind::Denied => Refusal::query(StatusCode::FORBIDDEN, "UnauthorizedOperation", fault.to_string()),
        Kind::NotFound => bad("InvalidSnapshot.NotFound", fault.to_string()),
        Kind::Refused => bad("IncorrectState", fault.to_string()),
        _ => {
            tracing::error!(%fault, "the shelf cannot answer");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Refusal::query(status, "InternalError", fault.to_string()).caused_by(fault)
        }
    }
}

/// True or false as EC2 writes it.
pub(in crate::endpoint) const fn word(is_so: bool) -> &'static str {
    if is_so { "true" } else { "false" }
}

/// Whether a parameter says yes.
pub(in crate::endpoint) fn says_yes(call: &Call, name: &str) -> bool {
    call.query(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// A time as EC2 writes it: `2026-09-25T10:11:12.123Z`.
pub(in crate::endpoint) fn time(at: UnixMillis) -> String {
    let time = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// An answer of EC2's: `<ActionResponse>` with the request's id and what `body` writes.
pub(in crate::endpoint) fn reply(call: &Call, action: &str, body: impl FnOnce(&mut Xml)) -> Reply {
    let document = Xml::document(&format!("{action}Response"), Some(EC2), |xml| {
        xml.text("requestId", &call.request_id);
        body(xml);
    });
    Reply::new(StatusCode::OK, Xml::CONTENT_TYPE, document)
}

/// An XML document being written.
pub(in crate::endpoint) struct Xml(Writer<Vec<u8>>);

impl Xml {
    pub(in crate::endpoint) const CONTENT_TYPE: &str = "text/xml;charset=UTF-8";

    /// A whole document: its root element with what `body` writes.
    pub(in crate::endpoint) fn document(
        root: &str,
        namespace: Option<&str>,
        body: impl FnOnce(&mut Self),
    ) -> Vec<u8> {
        let mut xml = Self(Writer::new(Vec::new()));
        xml.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        let mut start = BytesStart::new(root);
        start.extend_attributes(namespace.map(|namespace| ("xmlns", namespace)));
        xml.event(Event::Start(start));
        body(&mut xml);
        xml.event(Event::End(BytesEnd::new(root)));
        xml.0.into_inner()
    }

    /// An element with text.
    pub(in crate::endpoint) fn text(&mut self, name: &str, text: &str) {
        self.event(Event::Start(BytesStart::new(name)));
        self.event(Event::Text(BytesText::from_escaped(partial_escape(printable(text)))));
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// An element with text, where there is any.
    pub(in crate::endpoint) fn maybe(&mut self, name: &str, text: Option<&str>) {
        text.into_iter().for_each(|text| self.text(name, text));
    }

    /// An element that is true or false.
    pub(in crate::endpoint) fn flag(&mut self, name: &str, is_so: bool) {
        self.text(name, word(is_so));
    }

    /// An element with a time, where there is one.
    pub(in crate::endpoint) fn at(&mut self, name: &str, at: Option<UnixMillis>) {
        self.maybe(name, at.map(time).as_deref());
    }

    /// A list: an element with an `item` for each.
    pub(in crate::endpoint) fn set<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Self, T),
    ) {
        self.nest(name, |xml| items.into_iter().for_each(|one| xml.nest("item", |xml| item(xml, one))));
    }

    /// Tags, where there are any.
    pub(in crate::endpoint) fn tags(&mut self, tags: &Tags) {
        if !tags.is_empty() {
            self.set("tagSet", tags, |xml, (key, value)| {
                xml.text("key", key);
                xml.text("value", value);
            });
        }
    }

    /// An element with elements.
    pub(in crate::endpoint) fn nest(&mut self, name: &str, body: impl FnOnce(&mut Self)) {
        self.event(Event::Start(BytesStart::new(name)));
        body(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn event(&mut self, event: Event<'_>) {
        self.0.write_event(event).unwrap_or_else(|_| unreachable!("a Vec takes every write"));
    }
}

/// Replaces the characters that cannot stand in XML 1.0 at all, not even escaped (XML 1.0, 2.2 `Char`), and the other
/// control characters and noncharacters, which it discourages.
fn printable(text: &str) -> String {
    let is_noncharacter = |c: char| u32::from(c) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r') || !(c.is_control() || is_noncharacter(c));
    text.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_xml_cannot_hold_does_not_break_the_document() {
        let document =
            Xml::document("a", Some("ns"), |xml| xml.text("b", "<&>'\u{1}\u{fffe}\u{ffff}\u{1ffff}\n"));
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a xmlns=\"ns\"><b>&lt;&amp;&gt;'\u{fffd}\u{fffd}\u{fffd}\u{fffd}\n</b></a>";
        assert_eq!(String::from_utf8(document).unwrap(), expected);
    }

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(time(UnixMillis(1_790_068_104_246)), "2026-09-22T09:08:24.246Z");
        assert_eq!(time(UnixMillis(1_790_068_104_000)), "2026-09-22T09:08:24.000Z");
    }
}
