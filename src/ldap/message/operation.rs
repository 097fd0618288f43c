//! The operations of LDAP on one screen: the tag of each request and of its response.

/// A request that RFC 4511 section 4.2 to 4.14 defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Section 4.2.
    Bind,
    /// Section 4.3.
    Unbind,
    /// Section 4.5.
    Search,
    /// Section 4.6.
    Modify,
    /// Section 4.7.
    Add,
    /// Section 4.8.
    Delete,
    /// Section 4.9.
    ModifyDn,
    /// Section 4.10.
    Compare,
    /// Section 4.11.
    Abandon,
    /// Section 4.12.
    Extended,
}

/// The response that ends an operation: its tag octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ResponseTag {
    /// BindResponse, `[APPLICATION 1]`.
    Bind = 0x61,
    /// SearchResultDone, `[APPLICATION 5]`.
    SearchDone = 0x65,
    /// ModifyResponse, `[APPLICATION 7]`.
    Modify = 0x67,
    /// AddResponse, `[APPLICATION 9]`.
    Add = 0x69,
    /// DelResponse, `[APPLICATION 11]`.
    Delete = 0x6b,
    /// ModifyDNResponse, `[APPLICATION 13]`.
    ModifyDn = 0x6d,
    /// CompareResponse, `[APPLICATION 15]`.
    Compare = 0x6f,
    /// ExtendedResponse, `[APPLICATION 24]`.
    Extended = 0x78,
}

impl Operation {
    /// Every operation, the tag octet of its request, its name, and the response that ends it.
    ///
    /// The form (primitive or constructed) is part of the tag octet: a delete request that is not
    /// primitive is an unknown operation.
    pub const TABLE: &'static [(Self, u8, &'static str, Option<ResponseTag>)] = &[
        (Self::Bind, 0x60, "bind", Some(ResponseTag::Bind)),
        (Self::Unbind, 0x42, "unbind", None),
        (Self::Search, 0x63, "search", Some(ResponseTag::SearchDone)),
        (Self::Modify, 0x66, "modify", Some(ResponseTag::Modify)),
        (Self::Add, 0x68, "add", Some(ResponseTag::Add)),
        (Self::Delete, 0x4a, "delete", Some(ResponseTag::Delete)),
        (Self::ModifyDn, 0x6c, "modifyDN", Some(ResponseTag::ModifyDn)),
        (Self::Compare, 0x6e, "compare", Some(ResponseTag::Compare)),
        (Self::Abandon, 0x50, "abandon", None),
        (Self::Extended, 0x77, "extended", Some(ResponseTag::Extended)),
    ];

    /// The operation whose request has this tag octet.
    pub fn from_tag(tag: u8) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.1 == tag).map(|row| row.0)
    }

    /// The name, as in a sentence: `modifyDN`.
    pub fn name(self) -> &'static str {
        self.row().map_or("unknown", |row| row.2)
    }

    /// The response that ends the operation; `None` for unbind and abandon, which have none.
    pub fn response(self) -> Option<ResponseTag> {
        self.row().and_then(|row| row.3)
    }

    fn row(self) -> Option<&'static (Self, u8, &'static str, Option<ResponseTag>)> {
        Self::TABLE.iter().find(|row| row.0 == self)
    }
}

impl ResponseTag {
    /// The tag octet.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_leads_back_to_its_operation() {
        for (operation, tag, name, response) in Operation::TABLE {
            assert_eq!(Operation::from_tag(*tag), Some(*operation));
            assert_eq!(operation.name(), *name);
            assert_eq!(operation.response(), *response);
        }
    }

    #[test]
    fn a_tag_of_the_wrong_form_or_of_a_response_is_no_operation() {
        for tag in [0x40, 0x43, 0x6a, 0x62, 0x70, 0x57, 0x61, 0x64, 0x78, 0x7f, 0x00, 0x30] {
            assert_eq!(Operation::from_tag(tag), None, "{tag:#04x}");
        }
    }
}
