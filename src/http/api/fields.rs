//! What a request may say: the fields of its body, or the parameters of its query. Both are read here and nowhere else, by
//! the schema of their type, so that what the OpenAPI document says is what is taken. All that is wrong is told at once,
//! by the name of the field, and never with what stands there: it may be a secret.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::ops::{Bound, ControlFlow, RangeBounds, RangeInclusive};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use uuid::Uuid;

use super::page::PageQuery;
use super::refusal::{CallRefusal, WHOLE};
use crate::model::{BadTime, DateMeans, NETWORK_WORDS, TIME_WORDS, Timestamp, read_network};
use crate::quoted::{beginning, called};

/// The fields of a body, or the parameters of a query.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    fields: BTreeMap<String, Field>,
    /// What only the server writes: whoever sends back what it has read is not refused for it.
    passed_over: BTreeSet<String>,
    /// Whether they are those of a query, with a page of a list among them.
    is_list: bool,
}

#[derive(Clone, Debug)]
struct Field {
    is_required: bool,
    takes_null: bool,
    form: Form,
}

/// What a value may be.
#[derive(Clone, Debug)]
enum Form {
    Text,
    Truth,
    Whole(RangeInclusive<i128>),
    Words(Vec<String>),
    Uuid,
    Time,
    Address,
    Network,
    List(Box<Form>),
    Object(Fields),
    /// An object with keys of any name, or anything at all.
    Map,
    Any,
    /// Names out of these, with commas between them and `-` in front of what is turned round.
    Ordering(&'static [&'static str]),
}

/// What is wrong with a request, by the field.
pub(super) type Problems = BTreeMap<String, Vec<String>>;

impl Fields {
    /// Those of a body.
    pub(super) fn of_body<B: JsonSchema>() -> Self {
        let mut root = root_schema::<B>();
        as_request(&mut root);
        Self::of(&root, definitions(&root))
    }

    /// Those of a query.
    pub(super) fn of_query<Q: JsonSchema>(is_list: bool) -> Self {
        let read = |mut root: Value| {
            as_request(&mut root);
            Self::of(&root, definitions(&root)).fields
        };
        let mut fields = read(root_schema::<Q>());
        if is_list {
            fields.extend(read(root_schema::<PageQuery>()));
            fields.remove(ORDERING);
        }
        Self { fields, passed_over: BTreeSet::new(), is_list }
    }

    /// The same of a list that can be ordered by these.
    pub(super) fn ordered_by(mut self, names: &'static [&'static str]) -> Self {
        let form = Form::Ordering(names);
        self.fields.insert(ORDERING.to_owned(), Field { is_required: false, takes_null: false, form });
        self
    }

    /// The same of a body in which an object may be sent back as it is read.
    pub(super) fn passing_over<A: JsonSchema>(mut self) -> Self {
        let root = root_schema::<A>();
        let names = properties(&root).into_iter().flat_map(Map::keys);
        self.passed_over = names.filter(|name| !self.fields.contains_key(*name)).cloned().collect();
        self
    }

    /// What is taken without being looked at.
    pub(super) fn passed_over(&self) -> impl Iterator<Item = &str> {
        self.passed_over.iter().map(String::as_str)
    }

    fn of(schema: &Value, definitions: &Map<String, Value>) -> Self {
        let required: BTreeSet<&str> = texts(schema.get("required")).collect();
        let fields = properties(schema).into_iter().flatten().map(|(name, schema)| {
            let is_required = required.contains(name.as_str());
            let field =
                Field { is_required, takes_null: takes_null(schema), form: Form::of(schema, definitions) };
            (name.clone(), field)
        });
        Self { fields: fields.collect(), ..Self::default() }
    }

    /// Reads a body: one JSON object, and nothing behind it. One that is empty says nothing. What of it cannot be read stands
    /// beside it: whoever looks at the rest finds all that is wrong. Fields that cannot be read are not there, required ones
    /// empty; so it is nothing to be carried out.
    ///
    /// # Errors
    /// Nothing of it can be read, or so much cannot that no more is told.
    pub(super) fn read<B: DeserializeOwned>(&self, body: &[u8]) -> Result<(B, Problems), CallRefusal> {
        let (mut object, mut problems) = if body.is_empty() { Default::default() } else { object_of(body)? };
        self.read_truths(&mut object);
        let _ = self.check(&object, "", &mut |field, message| note(&mut problems, field, message));
        object.retain(|name, _| !self.passed_over.contains(name));
        if problems.is_empty() {
            return Ok((from_object(object)?, problems));
        }
        if problems.contains_key(WHOLE) {
            return Err(CallRefusal::fields(problems));
        }
        object.retain(|name, _| self.fields.contains_key(name) && !problems.contains_key(name));
        for (name, field) in self.fields.iter().filter(|(_, field)| field.is_required) {
            object.entry(name.clone()).or_insert_with(|| field.form.empty());
        }
        match from_object(object) {
            Ok(said) => Ok((said, problems)),
            Err(_) => Err(CallRefusal::fields(problems)),
        }
    }

    /// Puts `true` and `false` in the place of those that are texts, as Python writes them.
    fn read_truths(&self, object: &mut Map<String, Value>) {
        for (name, field) in &self.fields {
            if let Some(value) = object.get_mut(name) {
                field.form.read_truths(value);
            }
        }
    }

    /// Reads a query. What is empty is as what is not there, as in authentik.
    ///
    /// # Errors
    /// All that is wrong. A parameter that there is not, too: whoever is not told would take the whole list for the filtered
    /// one.
    pub(super) fn read_query<Q: DeserializeOwned>(&self, query: &str) -> Result<(Q, PageQuery), CallRefusal> {
        let pairs: Vec<(String, String)> = serde_html_form::from_str(query).map_err(|_| {
            CallRefusal::invalid("the query cannot be read: write it as `name=value&other=value`")
        })?;
        let (mut object, mut problems) = (Map::new(), Problems::new());
        for (name, text) in pairs {
            let Some(Field { form, .. }) = self.fields.get(&name) else {
                let message = format!("There is no such parameter; there are: {}", self.names());
                if note(&mut problems, &name, message).is_break() {
                    break;
                }
                continue;
            };
            match form {
                // Of a list of names, the empty one is none that anything has.
                form if text.is_empty()
                    && !matches!(form, Form::List(item) if matches!(**item, Form::Text)) => {}
                Form::List(item) => {
                    let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                    if let Some(list) = list.as_array_mut() {
                        list.push(item.written(text));
                    }
                }
                form => {
                    let value = form.written(text);
                    if object.insert(name.clone(), value).is_some()
                        && note(&mut problems, &name, TWICE.to_owned()).is_break()
                    {
                        break;
                    }
                }
            }
        }
        let _ = self.check(&object, "", &mut |field, message| note(&mut problems, field, message));
        if !problems.is_empty() {
            return Err(CallRefusal::fields(problems));
        }
        let page = if self.is_list { from_object(object.clone())? } else { PageQuery::default() };
        Ok((from_object(object)?, page))
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.fields.keys().map(String::as_str).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    /// Says what is wrong with an object that stands at a place of a field; empty: it is the whole.
    fn check(
        &self,
        object: &Map<String, Value>,
        place: &str,
        say: &mut dyn FnMut(&str, String) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let place_of = |name: &str| if place.is_empty() { String::new() } else { format!("{place}.{name}") };
        for (name, value) in object {
            match self.fields.get(name) {
                None if self.passed_over.contains(name) => {}
                None => {
                    let what = match place {
                        "" => "There is no such field".to_owned(),
                        place => format!("There is no `{place}.{name}`"),
                    };
                    say(name, format!("{what}; there are: {}", self.names()))?;
                }
                Some(field) if value.is_null() => {
                    if !field.takes_null {
                        say(name, format!("{} may not be null.", subject(&place_of(name))))?;
                    }
                }
                Some(field) => field.form.check(value, &place_of(name), &mut |message| say(name, message))?,
            }
        }
        for (name, field) in self.fields.iter().filter(|(name, _)| !object.contains_key(*name)) {
            if field.is_required {
                say(name, format!("{} is required.", subject(&place_of(name))))?;
            }
        }
        ControlFlow::Continue(())
    }
}

impl Form {
    fn of(schema: &Value, definitions: &Map<String, Value>) -> Self {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
        if let Some(definition) = reference.and_then(|name| definitions.get(name)) {
            return Self::of(definition, definitions);
        }
        // What is a value or `null`: the former.
        let choices = schema.get("anyOf").and_then(Value::as_array);
        if let Some(choice) = choices.and_then(|choices| choices.iter().find(|choice| !is_null(choice))) {
            return Self::of(choice, definitions);
        }
        let words: Vec<String> = match schema.get("oneOf").and_then(Value::as_array) {
            Some(choices) => texts_of(choices.iter().filter_map(|choice| choice.get("const"))).collect(),
            None => texts(schema.get("enum")).map(str::to_owned).collect(),
        };
        if !words.is_empty() {
            return Self::Words(words);
        }
        let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
        let kind = texts(schema.get("type")).find(|kind| *kind != "null");
        match kind.or_else(|| schema.get("type")?.as_str()) {
            Some("boolean") => Self::Truth,
            Some("integer") => Self::Whole(range(schema, format)),
            Some("array") => {
                let item = schema.get("items").map_or(Self::Any, |item| Self::of(item, definitions));
                Self::List(Box::new(item))
            }
            Some("object") if properties(schema).is_some() => Self::Object(Fields::of(schema, definitions)),
            Some("object") => Self::Map,
            Some("string") => match format {
                "uuid" => Self::Uuid,
                "date-time" => Self::Time,
                "ip" => Self::Address,
                NETWORK_FORMAT => Self::Network,
                _ => Self::Text,
            },
            _ => Self::Any,
        }
    }

    /// What stands in the place of one that is required and cannot be read.
    fn empty(&self) -> Value {
        match self {
            Self::Text | Self::Ordering(_) => "".into(),
            Self::Truth => false.into(),
            Self::Whole(range) => Number::from_i128(0_i128.clamp(*range.start(), *range.end())).into(),
            Self::Words(words) => words.first().map(String::as_str).into(),
            Self::Uuid => Uuid::nil().to_string().into(),
            Self::Time => Timestamp::from_unix_seconds(0).to_string().into(),
            Self::Address => "::".into(),
            Self::Network => "::/128".into(),
            Self::List(_) => Value::Array(Vec::new()),
            Self::Object(fields) => {
                let required = fields.fields.iter().filter(|(_, field)| field.is_required);
                Value::Object(required.map(|(name, field)| (name.clone(), field.form.empty())).collect())
            }
            Self::Map => Value::Object(Map::new()),
            Self::Any => Value::Null,
        }
    }

    /// See [`Fields::read_truths`].
    fn read_truths(&self, value: &mut Value) {
        match (self, value) {
            (Self::Truth, value) => {
                if let Some(truth) = value.as_str().and_then(truth) {
                    *value = truth.into();
                }
            }
            (Self::List(item), Value::Array(values)) if item.has_truths() => {
                values.iter_mut().for_each(|value| item.read_truths(value));
            }
            (Self::Object(fields), Value::Object(object)) => fields.read_truths(object),
            _ => {}
        }
    }

    /// Whether there may be one in it.
    fn has_truths(&self) -> bool {
        match self {
            Self::Truth => true,
            Self::List(item) => item.has_truths(),
            Self::Object(fields) => fields.fields.values().any(|field| field.form.has_truths()),
            _ => false,
        }
    }

    /// A text of a query as the value that it writes; what writes none stays a text, which then is not what is expected.
    fn written(&self, text: String) -> Value {
        match self {
            Self::Truth => truth(&text).map_or(Value::String(text), Value::Bool),
            Self::Whole(_) => match text.parse::<i128>().ok().and_then(Number::from_i128) {
                Some(number) => Value::Number(number),
                None => Value::String(text),
            },
            _ => Value::String(text),
        }
    }

    /// Says where a value is not what is expected.
    fn check(
        &self,
        value: &Value,
        place: &str,
        say: &mut dyn FnMut(String) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if matches!(self, Self::Map | Self::Any) && has_wide_number(value) {
            return say("A number in it has more digits than are kept: write it as a string.".to_owned());
        }
        let is_so = match (self, value) {
            (Self::Any, _) | (Self::Text, Value::String(_)) | (Self::Truth, Value::Bool(_)) => true,
            (Self::Whole(range), Value::Number(number)) => {
                number.as_i128().is_some_and(|number| range.contains(&number))
            }
            (Self::Words(words), Value::String(text)) => words.contains(text),
            (Self::Uuid, Value::String(text)) => text.parse::<Uuid>().is_ok(),
            (Self::Time, Value::String(text)) => time(text).is_ok(),
            (Self::Address, Value::String(text)) => text.parse::<IpAddr>().is_ok(),
            (Self::Network, Value::String(text)) => read_network(text).is_ok(),
            (Self::Map, Value::Object(_)) => true,
            (Self::List(item), Value::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    item.check(value, &format!("{place}[{index}]"), say)?;
                }
                true
            }
            (Self::Object(fields), Value::Object(object)) => {
                fields.check(object, place, &mut |_, message| say(message))?;
                true
            }
            (Self::Ordering(names), Value::String(text)) => {
                ordering_keys(text).all(|(name, _)| names.contains(&name))
            }
            _ => false,
        };
        if !is_so {
            let told = match (self, value) {
                (Self::Time, Value::String(text)) => {
                    time(text).err().filter(|bad| *bad == BadTime::Late).map(|late| late.to_string())
                }
                (Self::Network, Value::String(text)) => read_network(text).err().map(|bad| bad.to_string()),
                _ => None,
            };
            let at = if place.is_empty() { String::new() } else { format!(" at {}", called(place)) };
            let expected = told.unwrap_or_else(|| format!("expected {self}"));
            let end = if expected.ends_with('?') { "" } else { "." };
            say(format!("Not a valid value{at}: {expected}{end}"))?;
        }
        ControlFlow::Continue(())
    }
}

/// What is expected, in words.
impl fmt::Display for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text => "a string",
            Self::Truth => "true or false",
            Self::Whole(range) => {
                return write!(formatter, "a whole number from {} to {}", range.start(), range.end());
            }
            Self::Words(words) => return write!(formatter, "one of {}", words.join(", ")),
            Self::Uuid => "a UUID",
            Self::Time => TIME_WORDS,
            Self::Address => "an address such as \"10.2.0.1\" or \"2001:db8::1\"",
            Self::Network => NETWORK_WORDS,
            Self::List(item) => return write!(formatter, "a list, each item {item}"),
            Self::Object(_) | Self::Map => "an object",
            Self::Any => "a value",
            Self::Ordering(names) => {
                return write!(
                    formatter,
                    "one or more of {}, with commas between them, and a - in front of what is turned round",
                    names.join(", ")
                );
            }
        })
    }
}

/// The keys that a list is ordered by, the first first, and whether each is turned round.
pub(super) fn ordering_keys(text: &str) -> impl Iterator<Item = (&str, bool)> {
    text.split(',').map(str::trim).map(|key| match key.strip_prefix('-') {
        Some(name) => (name, true),
        None => (key, false),
    })
}

/// The schema of a request, true of what is read: nothing may stand in it that it does not name, and `null` only where it
/// means something (see [`super::value::or_null`]). In the types of Rust it says that a field may be absent.
pub(super) fn as_request(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    schema.insert("additionalProperties".to_owned(), false.into());
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for field in fields.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        if field.remove(OR_NULL).is_none() {
            without_null(field);
        }
    }
}

/// Takes `null` from what a field may be.
fn without_null(field: &mut Map<String, Value>) {
    if field.get("default").is_some_and(Value::is_null) {
        field.remove("default");
    }
    if let Some(Value::Array(kinds)) = field.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            field.insert("type".to_owned(), kind);
        }
    }
    if let Some(Value::Array(words)) = field.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(choices)) = field.get_mut("anyOf") {
        choices.retain(|choice| !is_null(choice));
        if let [Value::Object(choice)] = choices.as_slice() {
            let choice = choice.clone();
            field.remove("anyOf");
            field.extend(choice);
        }
    }
}

/// Reads the one object of a body, and what stands twice in it.
fn object_of(body: &[u8]) -> Result<(Map<String, Value>, Problems), CallRefusal> {
    let mut problems = Problems::new();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let object = Whole { problems: &mut problems }.deserialize(&mut reader).map_err(|error| {
        // What goes too deep has no kind of its own.
        CallRefusal::invalid(if error.to_string().starts_with("recursion limit") {
            "the body has lists and objects in each other, too many: write it with fewer than 127".to_owned()
        } else if error.is_data() {
            "the body of a request is one JSON object".to_owned()
        } else {
            format!("the body is no JSON from line {}, column {} on", error.line(), error.column())
        })
    })?;
    reader.end().map_err(|error| {
        let (line, column) = (error.line(), error.column());
        CallRefusal::invalid(format!(
            "the body of a request is one JSON object, and something stands behind it in line {line}, column {column}"
        ))
    })?;
    Ok((object, problems))
}

fn from_object<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, CallRefusal> {
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        // The schema knows what is expected, and has been asked: this says no more than where.
        let field = error.path().iter().next().map(ToString::to_string).filter(|field| field != "?");
        CallRefusal::field(field.unwrap_or_else(|| WHOLE.to_owned()), "Not a valid value.")
    })
}

/// An object as a whole, with what stands twice in it.
struct Whole<'p> {
    problems: &'p mut Problems,
}

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let twice = RefCell::default();
            let value = entries.next_value_seed(Part { twice: &twice })?;
            for key in twice.into_inner() {
                let _ = note(self.problems, &name, format!("{} stands twice in it.", called(key)));
            }
            if object.insert(name.clone(), value).is_some() {
                let _ = note(self.problems, &name, TWICE.to_owned());
            }
        }
        Ok(object)
    }
}

/// A value within a field; what stands twice in its objects is left in `twice`.
#[derive(Clone, Copy)]
struct Part<'t> {
    twice: &'t RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            let mut twice = self.twice.borrow_mut();
            if object.insert(name.clone(), value).is_some() && twice.len() < PROBLEMS_TOLD_MAX {
                twice.push(name);
            }
        }
        Ok(Value::Object(object))
    }
}

/// Tells something that is wrong, unless so much is told already that nothing more is looked for: an answer is no larger
/// than what was asked.
fn note(problems: &mut Problems, field: &str, message: String) -> ControlFlow<()> {
    // So many keys at most, so this is soon counted.
    let told: usize = problems.values().map(Vec::len).sum();
    if told > PROBLEMS_TOLD_MAX {
        return ControlFlow::Break(());
    }
    if told == PROBLEMS_TOLD_MAX {
        let more = "There is more that is wrong, which is not told.".to_owned();
        problems.entry(WHOLE.to_owned()).or_default().push(more);
        return ControlFlow::Break(());
    }
    problems.entry(beginning(field)).or_default().push(message);
    ControlFlow::Continue(())
}

/// Whether a whole number in it is one of more than 64 bits, which would be read back as another.
fn has_wide_number(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.as_i128().is_none() && number.as_f64().is_some_and(|number| !NARROW.contains(&number))
        }
        Value::Array(items) => items.iter().any(has_wide_number),
        Value::Object(object) => object.values().any(has_wide_number),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// A time, whichever end of a date is meant.
fn time(text: &str) -> Result<Timestamp, BadTime> {
    Timestamp::read(text, DateMeans::End)
}

/// What a text says that is one of two, also as Python writes them.
fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" => Some(true),
        "false" | "False" => Some(false),
        _ => None,
    }
}

/// What a sentence is about: a field as such, or what stands at a place in it.
fn subject(place: &str) -> String {
    if place.is_empty() { "This field".to_owned() } else { called(place).to_string() }
}

fn root_schema<T: JsonSchema>() -> Value {
    let schema: Schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    schema.to_value()
}

fn definitions(root: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    root.get("$defs").and_then(Value::as_object).unwrap_or(&NONE)
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn takes_null(schema: &Value) -> bool {
    let choices = schema.get("anyOf").and_then(Value::as_array);
    texts(schema.get("type")).any(|kind| kind == "null")
        || choices.is_some_and(|choices| choices.iter().any(is_null))
}

/// The texts of a list; of what is none, none.
fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn texts_of<'v>(values: impl Iterator<Item = &'v Value>) -> impl Iterator<Item = String> {
    values.filter_map(Value::as_str).map(str::to_owned)
}

/// The numbers that an integer may be.
fn range(schema: &Value, format: &str) -> RangeInclusive<i128> {
    let of_format = match format {
        "int32" => i128::from(i32::MIN)..=i128::from(i32::MAX),
        "uint32" => 0..=i128::from(u32::MAX),
        "uint" | "uint64" => 0..=i128::from(u64::MAX),
        _ => i128::from(i64::MIN)..=i128::from(i64::MAX),
    };
    let bound = |name: &str| schema.get(name).and_then(Value::as_i64).map(i128::from);
    bound("minimum").unwrap_or(*of_format.start())..=bound("maximum").unwrap_or(*of_format.end())
}

/// So much that is wrong is told in one answer.
/// No limit of the config: all that is wrong is counted, and nobody reads more.
const PROBLEMS_TOLD_MAX: usize = 50;
/// Marks a field of a request in which `null` says something.
pub(super) const OR_NULL: &str = "x-or-null";
/// The format of a text that is a network.
pub(super) const NETWORK_FORMAT: &str = "ip-network";
/// The parameter by which a list is ordered.
pub(super) const ORDERING: &str = "ordering";
/// What is beyond is no number of 64 bits: -2^63 as a double is a number below it that was rounded, as it is kept itself.
const NARROW: (Bound<f64>, Bound<f64>) =
    (Bound::Excluded(-9_223_372_036_854_775_808.0), Bound::Excluded(18_446_744_073_709_551_616.0));
const TWICE: &str = "This field stands twice.";
