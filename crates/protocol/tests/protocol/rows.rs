//! Descriptors as rows of the table of the protocol.

use std::fmt;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};

const PACKAGE: &str = "apache.rocketmq.v2";

/// One fact: `kind file parent name number label type`, separated by tabs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    kind: String,
    file: String,
    parent: String,
    name: String,
    number: String,
    label: String,
    typed: String,
}

impl Row {
    /// `None` unless the line has seven columns.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let columns: [&str; 7] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let [kind, file, parent, name, number, label, typed] = columns.map(str::to_owned);
        Some(Self { kind, file, parent, name, number, label, typed })
    }

    /// What a row is about; the other columns are what it says.
    pub(crate) fn key(&self) -> (&str, &str, &str, &str) {
        (&self.kind, &self.file, &self.parent, &self.name)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, file, parent, name, number, label, typed } = self;
        write!(f, "{kind}\t{file}\t{parent}\t{name}\t{number}\t{label}\t{typed}")
    }
}

/// The rows of all files but the well-known types.
pub(crate) fn rows_of(descriptors: &FileDescriptorSet) -> Vec<Row> {
    let ours = descriptors.file.iter().filter(|file| file.package() == PACKAGE);
    ours.flat_map(|file| FileRows::new(file).collect(file)).collect()
}

/// Collects the rows of one file.
struct FileRows {
    file: String,
    rows: Vec<Row>,
}

impl FileRows {
    fn new(file: &FileDescriptorProto) -> Self {
        let path = file.name().trim_end_matches(".proto");
        let stem = path.rsplit('/').next().unwrap_or(path);
        Self { file: stem.to_owned(), rows: Vec::new() }
    }

    fn collect(mut self, file: &FileDescriptorProto) -> Vec<Row> {
        // Another syntax would change packing and presence without changing any other row.
        let syntax = if file.syntax() == "proto3" { "" } else { file.syntax() };
        self.push("file", file.package(), "", "", syntax, &imports(file));
        for message in &file.message_type {
            self.message("", message);
        }
        for item in &file.enum_type {
            self.enumeration("", item);
        }
        for service in &file.service {
            self.service(service);
        }
        self.rows
    }

    fn message(&mut self, outer: &str, message: &DescriptorProto) {
        let path = join(outer, message.name());
        self.push("message", &path, "", "", "", "");
        for field in &message.field {
            let number = field.number().to_string();
            let typed = typed(message, field);
            self.push("field", &path, field.name(), &number, &label(message, field), &typed);
        }
        for nested in message.nested_type.iter().filter(|nested| !is_map_entry(nested)) {
            self.message(&path, nested);
        }
        for nested in &message.enum_type {
            self.enumeration(&path, nested);
        }
    }

    fn enumeration(&mut self, outer: &str, item: &EnumDescriptorProto) {
        let path = join(outer, item.name());
        self.push("enum", &path, "", "", "", "");
        for value in &item.value {
            self.push("value", &path, value.name(), &value.number().to_string(), "", "");
        }
    }

    fn service(&mut self, service: &ServiceDescriptorProto) {
        self.push("service", service.name(), "", "", "", "");
        for method in &service.method {
            let (streaming, types) = (streaming(method), signature(method));
            self.push("rpc", service.name(), method.name(), "", &streaming, &types);
        }
    }

    fn push(
        &mut self,
        kind: &str,
        parent: &str,
        name: &str,
        number: &str,
        label: &str,
        typed: &str,
    ) {
        let [kind, parent, name] = [kind, parent, name].map(str::to_owned);
        let [number, label, typed] = [number, label, typed].map(str::to_owned);
        self.rows.push(Row { kind, file: self.file.clone(), parent, name, number, label, typed });
    }
}

fn imports(file: &FileDescriptorProto) -> String {
    format!("imports: {}", file.dependency.join(", "))
}

fn join(outer: &str, name: &str) -> String {
    if outer.is_empty() { name.to_owned() } else { format!("{outer}.{name}") }
}

fn label(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    if map_entry(message, field).is_some() {
        return "map".to_owned();
    }
    if field.proto3_optional() {
        return "optional".to_owned();
    }
    if let Some(oneof) = field.oneof_index.and_then(|index| usize::try_from(index).ok()) {
        let name = message.oneof_decl.get(oneof).map_or("?", |oneof| oneof.name());
        return format!("oneof:{name}");
    }
    match field.label() {
        Label::Optional => String::new(),
        Label::Repeated => "repeated".to_owned(),
        Label::Required => "required".to_owned(),
    }
}

fn typed(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let plain = match map_entry(message, field) {
        Some(entry) => {
            let sides: Vec<_> = entry.field.iter().map(|side| typed(entry, side)).collect();
            format!("map<{}>", sides.join(","))
        }
        None => match field.r#type() {
            Type::Message | Type::Enum => field.type_name().trim_start_matches('.').to_owned(),
            scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
        },
    };
    match field.options.as_ref().and_then(|options| options.packed) {
        Some(packed) => format!("{plain} [packed = {packed}]"),
        None => plain,
    }
}

/// The hidden message behind a `map` field.
fn map_entry<'a>(
    message: &'a DescriptorProto,
    field: &FieldDescriptorProto,
) -> Option<&'a DescriptorProto> {
    let suffix = |entry: &DescriptorProto| format!(".{}", entry.name());
    let mut entries = message.nested_type.iter().filter(|nested| is_map_entry(nested));
    entries.find(|entry| field.type_name().ends_with(&suffix(entry)))
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

fn streaming(method: &MethodDescriptorProto) -> String {
    let side = |streams| if streams { "stream" } else { "unary" };
    format!("{}->{}", side(method.client_streaming()), side(method.server_streaming()))
}

fn signature(method: &MethodDescriptorProto) -> String {
    let name = |path: &str| path.trim_start_matches('.').to_owned();
    format!("{} -> {}", name(method.input_type()), name(method.output_type()))
}
