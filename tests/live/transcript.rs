//! What was asked and answered, without what is nobody else's business: accounts, tokens, ids, request ids.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Text that grows, redacted as it does.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    text: String,
    /// Ids by what they are called here.
    ids: BTreeMap<String, String>,
    secrets: Vec<String>,
}

impl Transcript {
    /// Never shows this text.
    pub(crate) fn hide(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.secrets.push(secret.to_owned());
        }
    }

    pub(crate) fn line(&mut self, line: &str) {
        let line = self.redacted(line);
        writeln!(self.text, "{}", line.trim_end()).unwrap();
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn redacted(&mut self, line: &str) -> String {
        let line = self.secrets.iter().fold(line.to_owned(), |line, secret| line.replace(secret, "<token>"));
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-_=+".contains(c);
        let mut out = String::new();
        let mut rest = line.as_str();
        while let Some(at) = rest.find(is_word) {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            out.push_str(&self.word(&rest[..end]));
            rest = &rest[end..];
        }
        out + rest
    }

    fn word(&mut self, word: &str) -> String {
        let is_hex = |text: &str| text.len() >= 3 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let kind = word.split_once('-').filter(|(_, digits)| is_hex(digits)).map(|(kind, _)| kind);
        if let Some(kind @ ("snap" | "vol" | "i" | "ami")) = kind {
            let number = self.ids.keys().filter(|id| id.starts_with(kind)).count() + 1;
            return self.ids.entry(word.to_owned()).or_insert_with(|| format!("<{kind} {number}>")).clone();
        }
        let parts: Vec<_> = word.split('-').map(str::len).collect();
        if parts == [8, 4, 4, 4, 12] {
            return "<uuid>".to_owned();
        }
        if word.len() == 12 && word.bytes().all(|b| b.is_ascii_digit()) {
            return "<account>".to_owned();
        }
        if word.len() >= 40 { "<token>".to_owned() } else { word.to_owned() }
    }
}

#[test]
fn nothing_that_names_an_account_or_opens_a_block_is_shown() {
    let mut transcript = Transcript::default();
    transcript.hide("short/secret");
    let token = "AlMB".repeat(24);
    transcript.line(&format!("The block token {token} of snap-0abc is invalid (short/secret)."));
    transcript.line(
        "arn:aws:kms:us-east-1:123456789012:key/0badcafe-0000-4000-8000-000000000001 vol-0abc snap-0abc",
    );
    transcript.line("<RequestID>d20f2f5f-24b3-48c4-a484-36cb6816fd2f</RequestID> snap-0def 2048 --dry-run");
    assert_eq!(
        transcript.text(),
        "The block token <token> of <snap 1> is invalid (<token>).\n\
         arn:aws:kms:us-east-1:<account>:key/<uuid> <vol 1> <snap 1>\n\
         <RequestID><uuid></RequestID> <snap 2> 2048 --dry-run\n"
    );
}
