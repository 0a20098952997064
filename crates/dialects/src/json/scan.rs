//! The scanner: one pass over a JSON text, values skipped or visited, every value given as a span.

/// The deepest nesting that is read, the same as serde_json's limit.
const MAX_DEPTH: u32 = 127;

/// A half-open range of byte offsets into the text that was scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        // Texts longer than u32 are refused by `Scanner::from_bytes`, so nothing saturates here.
        let narrow = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// The bytes of this span as text; empty when it is not of this text.
    pub(crate) fn of(self, bytes: &[u8]) -> &str {
        bytes.get(self.range()).and_then(|raw| std::str::from_utf8(raw).ok()).unwrap_or_default()
    }
}

/// A string literal with its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) span: Span,
    /// Whether it holds a backslash; without one its text is its bytes.
    pub(crate) escaped: bool,
}

impl Literal {
    /// What stands between the quotes, still escaped.
    pub(crate) fn body(self) -> Span {
        Span { start: self.span.start + 1, end: self.span.end.saturating_sub(1) }
    }

    /// The text that the literal means.
    pub(crate) fn decoded(self, bytes: &[u8]) -> std::borrow::Cow<'_, str> {
        let raw = self.body().of(bytes);
        if self.escaped { super::decode(raw) } else { raw.into() }
    }
}

/// Where a text stops being JSON, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) message: &'static str,
    pub(crate) offset: usize,
}

/// What kind of value comes next, known from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

impl Kind {
    /// The kind with its article, for messages to people.
    pub(crate) fn described(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::True | Self::False => "a boolean",
            Self::Null => "null",
        }
    }
}

/// A position in a JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

impl<'a> Scanner<'a> {
    /// Starts on bytes from outside, after checking that they are UTF-8.
    pub(crate) fn from_bytes(bytes: &'a [u8]) -> Result<Self, SyntaxError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(SyntaxError { message: "the text is longer than 4 GiB", offset: 0 });
        }
        if let Err(error) = std::str::from_utf8(bytes) {
            return Err(SyntaxError { message: "invalid UTF-8", offset: error.valid_up_to() });
        }
        Ok(Self { bytes, at: 0, depth: 0 })
    }

    /// Starts at a value that was scanned before, so that its spans count from the same origin.
    pub(crate) fn at(bytes: &'a [u8], value: Span) -> Self {
        Self { bytes, at: value.start as usize, depth: 0 }
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn error(&self, message: &'static str) -> SyntaxError {
        SyntaxError { message, offset: self.at }
    }

    /// The kind of the next value; nothing is consumed but white space.
    pub(crate) fn peek(&mut self) -> Result<Kind, SyntaxError> {
        self.skip_white_space();
        match self.bytes.get(self.at) {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't') => Ok(Kind::True),
            Some(b'f') => Ok(Kind::False),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => Err(self.error("expected a value")),
            None => Err(self.error("the text ends where a value was expected")),
        }
    }

    /// Skips one value of any kind.
    pub(crate) fn skip(&mut self) -> Result<Span, SyntaxError> {
        match self.peek()? {
            Kind::Object => self.object(|scanner, _| scanner.pass()),
            Kind::Array => self.array(|scanner, _| scanner.pass()),
            Kind::String => self.string().map(|literal| literal.span),
            Kind::Number => self.number(),
            Kind::True => self.word("true"),
            Kind::False => self.word("false"),
            Kind::Null => self.word("null"),
        }
    }

    /// Skips one value of any kind whose place does not matter.
    pub(crate) fn pass(&mut self) -> Result<(), SyntaxError> {
        self.skip().map(|_| ())
    }

    /// Reads one string.
    pub(crate) fn string(&mut self) -> Result<Literal, SyntaxError> {
        self.skip_white_space();
        let start = self.at;
        if self.bytes.get(start) != Some(&b'"') {
            return Err(self.error("expected a string"));
        }
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += plain_length(self.bytes.get(self.at..).unwrap_or_default());
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => escaped = true,
                Some(_) => return Err(self.error("a control character stands unescaped in a string")),
                None => return Err(self.error("the text ends inside a string")),
            }
            self.escape()?;
        }
        self.at += 1;
        Ok(Literal { span: Span::new(start, self.at), escaped })
    }

    /// Visits the members of an object. `visit` is given each key, and must consume exactly one value.
    pub(crate) fn object<E: From<SyntaxError>>(
        &mut self,
        mut visit: impl FnMut(&mut Self, Literal) -> Result<(), E>,
    ) -> Result<Span, E> {
        self.container([b'{', b'}'], |scanner, _| {
            let key = scanner.string()?;
            scanner.skip_white_space();
            if scanner.bytes.get(scanner.at) != Some(&b':') {
                return Err(scanner.error("expected `:` after a key").into());
            }
            scanner.at += 1;
            visit(scanner, key)
        })
    }

    /// Visits the elements of an array. `visit` is given each index, and must consume exactly one value.
    pub(crate) fn array<E: From<SyntaxError>>(
        &mut self,
        visit: impl FnMut(&mut Self, usize) -> Result<(), E>,
    ) -> Result<Span, E> {
        self.container([b'[', b']'], visit)
    }

    /// Checks that nothing but white space follows.
    pub(crate) fn end(&mut self) -> Result<(), SyntaxError> {
        self.skip_white_space();
        if self.at < self.bytes.len() {
            return Err(self.error("text follows the end of the JSON value"));
        }
        Ok(())
    }

    fn container<E: From<SyntaxError>>(
        &mut self,
        [open, close]: [u8; 2],
        mut visit: impl FnMut(&mut Self, usize) -> Result<(), E>,
    ) -> Result<Span, E> {
        self.skip_white_space();
        let start = self.at;
        if self.bytes.get(start) != Some(&open) {
            return Err(self.error("expected an object or an array").into());
        }
        if self.depth == MAX_DEPTH {
            return Err(self.error("nested deeper than 127 levels").into());
        }
        self.depth += 1;
        self.at += 1;
        self.skip_white_space();
        if self.bytes.get(self.at) != Some(&close) {
            let mut index = 0;
            loop {
                visit(self, index)?;
                index += 1;
                self.skip_white_space();
                match self.bytes.get(self.at) {
                    Some(b',') => self.at += 1,
                    Some(byte) if *byte == close => break,
                    Some(_) => return Err(self.error("expected `,` or the end of the list").into()),
                    None => return Err(self.error("the text ends inside an object or array").into()),
                }
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(Span::new(start, self.at))
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// Consumes one escape; the position is on its backslash.
    fn escape(&mut self) -> Result<(), SyntaxError> {
        let length = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => 6,
            _ => return Err(self.error("invalid escape in a string")),
        };
        let digits = self.bytes.get(self.at + 2..self.at + length);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(self.error("invalid escape in a string"));
        }
        self.at += length;
        Ok(())
    }

    /// RFC 8259, section 6: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
    fn number(&mut self) -> Result<Span, SyntaxError> {
        let start = self.at;
        self.accept(b"-");
        if !self.accept(b"0") {
            self.digits()?;
        }
        if self.accept(b".") {
            self.digits()?;
        }
        if self.accept(b"eE") {
            self.accept(b"+-");
            self.digits()?;
        }
        Ok(Span::new(start, self.at))
    }

    fn accept(&mut self, any_of: &[u8]) -> bool {
        let found = self.bytes.get(self.at).is_some_and(|byte| any_of.contains(byte));
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.error("invalid number"));
        }
        self.at += count;
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<Span, SyntaxError> {
        let start = self.at;
        if !self.bytes.get(start..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            return Err(self.error("expected a value"));
        }
        self.at += word.len();
        Ok(Span::new(start, self.at))
    }
}

/// How many bytes at the front need no look: neither a quote, nor a backslash, nor a control character.
fn plain_length(bytes: &[u8]) -> usize {
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    // Whole blocks without a branch inside, so that the compiler vectorises them: images are megabytes.
    let block = |block: &[u8]| block.iter().fold(false, |found, byte| found | special(*byte));
    let blocks = bytes.chunks_exact(32).take_while(|chunk| !block(chunk)).count() * 32;
    let rest = bytes.get(blocks..).unwrap_or_default();
    blocks + rest.iter().position(|byte| special(*byte)).unwrap_or(rest.len())
}
