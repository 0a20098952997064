//! A request as the pipeline sees it: immutable, whatever door it came through.

use std::borrow::Cow;
use std::sync::Arc;

use dialects::request::{ParsedRequest, Role, TextId, TextKind};
use sha2::{Digest, Sha256};

use crate::policy::Subject;
use crate::ports::ConversationKey;

/// Who sends a request, as the door established it; the only identity that cache scope, limits and spans use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Name of the key or peer; `anonymous` without either.
    pub name: Arc<str>,
    /// End user, from a trusted peer.
    pub user: Option<Arc<str>>,
    /// Models that it may use; `None` means all.
    pub allowed_models: Option<Arc<[Arc<str>]>>,
}

impl Principal {
    /// Whoever comes without a key.
    pub fn anonymous() -> Principal {
        Principal { name: Arc::from("anonymous"), user: None, allowed_models: None }
    }

    /// Whether it may use a model.
    pub fn may_use(&self, model: &str) -> bool {
        self.allowed_models.as_ref().is_none_or(|models| models.iter().any(|allowed| &**allowed == model))
    }

    /// A string that is different for different identities, for hashing.
    pub(crate) fn identity(&self) -> String {
        format!("{}\u{0}{}", self.name, self.user.as_deref().unwrap_or_default())
    }
}

/// A request: its bytes with the parsed view, who sends it, and what a door found worth passing on.
#[derive(Debug, Clone)]
pub struct Request {
    /// The body and its facts.
    pub parsed: ParsedRequest,
    /// Who sends it.
    pub principal: Principal,
    /// Session, from a trusted header.
    pub session: Option<Arc<str>>,
    /// Headers that the policy reads ([`crate::policy::Policy::header_names`]): lower-case name and value.
    pub headers: Vec<(Arc<str>, Box<str>)>,
}

impl Request {
    /// The text that a signal reads.
    pub fn subject(&self, subject: Subject) -> Cow<'_, str> {
        match subject {
            Subject::LastUserMessage => self.parsed.last_user_text(),
            Subject::Conversation => self.parsed.conversation_text(),
            Subject::ToolResults => self.parsed.tool_results_text(),
            Subject::UserAndToolText => self.user_and_tool_text(),
        }
    }

    /// Whether a text belongs to what a signal reads.
    pub fn is_in(&self, id: TextId, subject: Subject) -> bool {
        let Some(view) = self.parsed.text(id) else { return false };
        match subject {
            Subject::Conversation => true,
            Subject::UserAndToolText => is_user_or_tool(view.role),
            Subject::ToolResults => view.role == Role::Tool,
            Subject::LastUserMessage => {
                let last = self.parsed.messages().rev().find(|message| message.role() == Role::User);
                last.is_some_and(|message| message.index() == view.message)
            }
        }
    }

    /// The values of a header that the door passed in.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| &**known == name).map(|(_, value)| &**value)
    }

    /// Estimated tokens of all texts: one per four bytes of UTF-8, rounded up.
    pub fn estimated_tokens(&self) -> u64 {
        let bytes: usize = self.parsed.texts().map(|text| text.text.len()).sum();
        u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
    }

    /// Names the conversation: the session where there is one, else who speaks, the system prompt and the first
    /// message of the user, which stay the same from turn to turn.
    pub fn conversation_key(&self) -> ConversationKey {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update(bytes.len().to_le_bytes());
            hash.update(bytes);
        };
        part(self.principal.identity().as_bytes());
        match &self.session {
            Some(session) => part(session.as_bytes()),
            None => {
                part(self.parsed.system_text().as_bytes());
                part(self.parsed.first_user_text().as_bytes());
            }
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        ConversationKey(key)
    }

    fn user_and_tool_text(&self) -> Cow<'_, str> {
        let mut texts = self
            .parsed
            .texts()
            .filter(|text| is_user_or_tool(text.role) && text.kind == TextKind::Content)
            .map(|text| text.text);
        let Some(first) = texts.next() else { return Cow::Borrowed("") };
        let Some(second) = texts.next() else { return first };
        let mut all = first.into_owned();
        for text in std::iter::once(second).chain(texts) {
            all.push('\n');
            all.push_str(&text);
        }
        Cow::Owned(all)
    }
}

/// Roles through which injections arrive: the user's and tools', and any that the dialect does not know.
fn is_user_or_tool(role: Role) -> bool {
    matches!(role, Role::User | Role::Tool | Role::Other)
}
