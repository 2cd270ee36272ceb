//! What the XML documents of the service have in common.

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::BytesRef;

/// The character that `&amp;` or `&#38;` stands for.
pub fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Some(c);
    }
    resolve_xml_entity(reference)?.chars().next()
}
