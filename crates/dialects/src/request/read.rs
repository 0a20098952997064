//! The one pass over a request body that finds its members, messages and texts.

use bytes::Bytes;

use super::facts::Facts;
use super::messages::{Message, Role, Text, TextKind};
use super::{Inner, Member, RequestError, parts};
use crate::Dialect;
use crate::json::{Kind, Scanner, Span};

type Read<T> = Result<T, RequestError>;

/// Reads a body of the dialect.
pub(super) fn read(dialect: Dialect, body: Bytes) -> Read<Inner> {
    let mut scanner = Scanner::from_bytes(&body)?;
    if scanner.peek()? != Kind::Object {
        let message = "The request body must be a JSON object.".to_owned();
        return Err(RequestError::InvalidRequest { param: None, message });
    }
    let mut reader = Reader { dialect, ..Reader::default() };
    let root = scanner.object(|scanner, key| {
        let name = key.decoded(scanner.bytes());
        let value = reader.member(scanner, &name)?;
        reader.members.push(Member { key, value });
        Ok::<_, RequestError>(())
    })?;
    scanner.end()?;
    reader.finish(root, body)
}

struct Reader {
    dialect: Dialect,
    members: Vec<Member>,
    /// The members that were read, so that a second one of the same name is noticed.
    seen: Vec<&'static str>,
    messages: Vec<Message>,
    texts: Vec<Text>,
    facts: Facts,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            dialect: Dialect::ChatCompletions,
            members: Vec::with_capacity(16),
            seen: Vec::with_capacity(16),
            messages: Vec::new(),
            texts: Vec::new(),
            facts: Facts::default(),
        }
    }
}

impl Reader {
    fn member(&mut self, scanner: &mut Scanner<'_>, name: &str) -> Read<Span> {
        let Some(known) = parts::known_member(name) else { return Ok(scanner.skip()?) };
        if self.seen.contains(&known) {
            return Err(RequestError::invalid(known, "is given twice"));
        }
        self.seen.push(known);
        match (known, self.dialect) {
            ("messages", Dialect::ChatCompletions) => self.messages(scanner),
            ("prompt", Dialect::Completions) | ("input", Dialect::Embeddings) => self.prompts(scanner, known),
            ("suffix", Dialect::Completions) => self.suffix(scanner),
            ("model" | "user" | "previous_response_id", _) => self.name(scanner, known),
            ("stream", _) => {
                let (span, value) = parts::boolean(scanner, known)?;
                self.facts.stream = value == Some(true);
                Ok(span)
            }
            ("stream_options", _) => {
                let (span, include_usage) = parts::include_usage(scanner)?;
                self.facts.include_usage = include_usage;
                Ok(span)
            }
            _ => match parts::sampling(scanner, known, &mut self.facts.sampling)? {
                Some(span) => Ok(span),
                None => parts::shape(scanner, known, &mut self.facts.shape),
            },
        }
    }

    fn name(&mut self, scanner: &mut Scanner<'_>, known: &'static str) -> Read<Span> {
        let (span, value) = parts::string(scanner, known)?;
        match known {
            "model" => self.facts.model = value,
            "user" => self.facts.user = value,
            _ => self.facts.previous_response_id = value,
        }
        Ok(span)
    }

    fn finish(mut self, root: Span, body: Bytes) -> Read<Inner> {
        let required = match self.dialect {
            Dialect::ChatCompletions => "messages",
            Dialect::Completions => "prompt",
            Dialect::Embeddings => "input",
        };
        // A legacy completion without a prompt is allowed: the model begins a new document.
        if !self.seen.contains(&required) && self.dialect != Dialect::Completions {
            return Err(RequestError::invalid(required, "is missing"));
        }
        self.facts.shape.message_count = self.messages.len();
        self.facts.shape.user_turns =
            self.messages.iter().filter(|message| message.role == Role::User).count();
        let Self { dialect, members, messages, texts, facts, .. } = self;
        Ok(Inner { dialect, body, root, members, messages, texts, facts })
    }

    fn messages(&mut self, scanner: &mut Scanner<'_>) -> Read<Span> {
        parts::expect(scanner, Kind::Array, || "messages".to_owned())?;
        let span = scanner.array(|scanner, index| self.message(scanner, index))?;
        if self.messages.is_empty() {
            return Err(RequestError::invalid("messages", "must not be empty"));
        }
        Ok(span)
    }

    fn message(&mut self, scanner: &mut Scanner<'_>, index: usize) -> Read<()> {
        parts::expect(scanner, Kind::Object, || format!("messages[{index}]"))?;
        let mut role = None;
        let mut content = None;
        let mut has_image = false;
        let mut seen = parts::Once::default();
        let whole = scanner.object(|scanner, key| {
            let name = key.decoded(scanner.bytes());
            let place = || format!("messages[{index}].{name}");
            match &*name {
                "role" => {
                    seen.first("role", place)?;
                    parts::expect(scanner, Kind::String, place)?;
                    role = Some(Role::from_word(&scanner.string()?.decoded(scanner.bytes())));
                }
                "content" => {
                    seen.first("content", place)?;
                    content = Some(self.content(scanner, index, &mut has_image)?);
                }
                "refusal" => self.optional_text(scanner, index, 0, TextKind::Refusal)?,
                "reasoning_content" | "reasoning" => {
                    self.optional_text(scanner, index, 0, TextKind::Reasoning)?;
                }
                "tool_calls" if scanner.peek()? == Kind::Array => {
                    scanner.array(|scanner, part| self.tool_call(scanner, index, part))?;
                }
                "function_call" => self.tool_call(scanner, index, 0)?,
                _ => scanner.pass()?,
            }
            Ok::<_, RequestError>(())
        })?;
        let Some(role) = role else {
            return Err(RequestError::invalid(format!("messages[{index}].role"), "is missing"));
        };
        self.push_message(Message { role, whole, content, has_image, texts_end: 0 });
        Ok(())
    }

    /// `content`: a string, null, or parts, each an object or (as vLLM takes it) a string.
    fn content(&mut self, scanner: &mut Scanner<'_>, index: usize, has_image: &mut bool) -> Read<Span> {
        match scanner.peek()? {
            Kind::Null => Ok(scanner.skip()?),
            Kind::String => self.push_text(scanner, index, 0, TextKind::Content),
            Kind::Array => scanner.array(|scanner, part| match scanner.peek()? {
                Kind::String => self.push_text(scanner, index, part, TextKind::Content).map(drop),
                Kind::Object => self.part(scanner, index, part, has_image),
                kind => Err(parts::wrong(format!("messages[{index}].content[{part}]"), "an object", kind)),
            }),
            kind => Err(parts::wrong(format!("messages[{index}].content"), "a string or an array", kind)),
        }
    }

    /// A part's `type` does not decide whether its `text` is read: backends differ in how they take odd types.
    fn part(
        &mut self,
        scanner: &mut Scanner<'_>,
        index: usize,
        part: usize,
        has_image: &mut bool,
    ) -> Read<()> {
        let mut seen = parts::Once::default();
        scanner.object(|scanner, key| {
            let name = key.decoded(scanner.bytes());
            match &*name {
                "text" | "refusal" => {
                    let place = || format!("messages[{index}].content[{part}].{name}");
                    let (word, kind) = match &*name {
                        "text" => ("text", TextKind::Content),
                        _ => ("refusal", TextKind::Refusal),
                    };
                    seen.first(word, place)?;
                    if !matches!(scanner.peek()?, Kind::String | Kind::Null) {
                        return Err(parts::wrong(place(), "a string", scanner.peek()?));
                    }
                    self.optional_text(scanner, index, part, kind)?;
                }
                "type" if scanner.peek()? == Kind::String => {
                    let word = scanner.string()?.decoded(scanner.bytes());
                    *has_image |= parts::note_media(&word, &mut self.facts.shape);
                }
                _ => {
                    *has_image |= parts::note_media(&name, &mut self.facts.shape);
                    scanner.skip()?;
                }
            }
            Ok::<_, RequestError>(())
        })?;
        Ok(())
    }

    /// A tool call, or the older `function_call`: its strings `arguments` (functions) and `input` (custom tools).
    fn tool_call(&mut self, scanner: &mut Scanner<'_>, index: usize, part: usize) -> Read<()> {
        if scanner.peek()? != Kind::Object {
            return Ok(scanner.pass()?);
        }
        scanner.object(|scanner, key| {
            match &*key.decoded(scanner.bytes()) {
                "arguments" | "input" => self.optional_text(scanner, index, part, TextKind::ToolArguments)?,
                "function" | "custom" => self.tool_call(scanner, index, part)?,
                _ => scanner.pass()?,
            }
            Ok::<_, RequestError>(())
        })?;
        Ok(())
    }

    /// `prompt` or `input`: a string, strings, token numbers, or lists of token numbers.
    fn prompts(&mut self, scanner: &mut Scanner<'_>, known: &'static str) -> Read<Span> {
        match scanner.peek()? {
            Kind::Null if self.dialect == Dialect::Completions => Ok(scanner.skip()?),
            Kind::String => {
                let span = self.push_text(scanner, self.messages.len(), 0, TextKind::Content)?;
                self.push_prompt(Role::User, span);
                Ok(span)
            }
            Kind::Array => scanner.array(|scanner, index| {
                let kind = scanner.peek()?;
                let span = match kind {
                    Kind::String => self.push_text(scanner, self.messages.len(), 0, TextKind::Content)?,
                    Kind::Number | Kind::Array | Kind::Object => scanner.skip()?,
                    _ => {
                        return Err(parts::wrong(
                            format!("{known}[{index}]"),
                            "a string or token numbers",
                            kind,
                        ));
                    }
                };
                self.facts.shape.has_token_ids |= matches!(kind, Kind::Number | Kind::Array);
                // A flat list of numbers is one prompt.
                if kind != Kind::Number || index == 0 {
                    self.push_prompt(Role::User, span);
                }
                Ok(())
            }),
            kind => Err(parts::wrong(known.to_owned(), "a string or an array", kind)),
        }
    }

    /// The text after the gap that a completion fills: the model sees it, so that it is a text to read, of no role.
    fn suffix(&mut self, scanner: &mut Scanner<'_>) -> Read<Span> {
        if scanner.peek()? != Kind::String {
            return Ok(scanner.skip()?);
        }
        let span = self.push_text(scanner, self.messages.len(), 0, TextKind::Content)?;
        self.push_prompt(Role::Other, span);
        Ok(span)
    }

    fn push_prompt(&mut self, role: Role, whole: Span) {
        let message = Message { role, whole, content: None, has_image: false, texts_end: 0 };
        self.push_message(message);
    }

    fn push_message(&mut self, message: Message) {
        let texts_end = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.messages.push(Message { texts_end, ..message });
    }

    fn optional_text(
        &mut self,
        scanner: &mut Scanner<'_>,
        message: usize,
        part: usize,
        kind: TextKind,
    ) -> Read<()> {
        if scanner.peek()? != Kind::String {
            return Ok(scanner.pass()?);
        }
        self.push_text(scanner, message, part, kind).map(drop)
    }

    fn push_text(
        &mut self,
        scanner: &mut Scanner<'_>,
        message: usize,
        part: usize,
        kind: TextKind,
    ) -> Read<Span> {
        let literal = scanner.string()?;
        let narrow = |index| u32::try_from(index).unwrap_or(u32::MAX);
        self.texts.push(Text { literal, message: narrow(message), part: narrow(part), kind });
        Ok(literal.span)
    }
}
