//! The types of personal data, by the names that configuration and API use.

use std::fmt;
use std::str::FromStr;

macro_rules! pii_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $recognised:literal;)*) => {
        /// A type of personal data or secret.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum PiiType {
            $($(#[$doc])* $variant,)*
        }

        impl PiiType {
            /// All types.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name, in capitals with underscores.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Whether the built-in tier finds this type; the others are known names that it never reports.
            #[must_use]
            pub const fn is_recognised(self) -> bool {
                match self {
                    $(Self::$variant => $recognised,)*
                }
            }
        }
    };
}

pii_types! {
    /// A person's name. Not recognised by this tier.
    Person = "PERSON", false;
    /// An e-mail address.
    EmailAddress = "EMAIL_ADDRESS", true;
    /// A telephone number.
    PhoneNumber = "PHONE_NUMBER", true;
    /// A United States social security number.
    UsSsn = "US_SSN", true;
    /// A street address. Not recognised by this tier.
    StreetAddress = "STREET_ADDRESS", false;
    /// A country, city or state. Not recognised by this tier.
    Gpe = "GPE", false;
    /// A company or institution. Not recognised by this tier.
    Organization = "ORGANIZATION", false;
    /// A payment card number.
    CreditCard = "CREDIT_CARD", true;
    /// A United States driver licence number, where the text says that it is one.
    UsDriverLicense = "US_DRIVER_LICENSE", true;
    /// An international bank account number.
    IbanCode = "IBAN_CODE", true;
    /// An IP address, version 4 or 6.
    IpAddress = "IP_ADDRESS", true;
    /// A domain name.
    DomainName = "DOMAIN_NAME", true;
    /// A date or a time of day.
    DateTime = "DATE_TIME", true;
    /// A person's age.
    Age = "AGE", true;
    /// Nationality, religion or political group. Not recognised by this tier.
    Nrp = "NRP", false;
    /// A United States postal code, after a state or where the text says that it is one.
    ZipCode = "ZIP_CODE", true;
    /// A key of a well-known service, or what the text calls an API key.
    ApiKey = "API_KEY", true;
    /// A bearer token or a JSON web token.
    BearerToken = "BEARER_TOKEN", true;
    /// The `user:password` part of a URL.
    UrlCredentials = "URL_CREDENTIALS", true;
}

impl fmt::Display for PiiType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The text names none of [`PiiType::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownPiiType;

impl fmt::Display for UnknownPiiType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("unknown PII type; one of")?;
        for (index, kind) in PiiType::ALL.iter().enumerate() {
            write!(formatter, "{} {kind}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownPiiType {}

impl FromStr for PiiType {
    type Err = UnknownPiiType;

    fn from_str(name: &str) -> Result<Self, UnknownPiiType> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or(UnknownPiiType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kind in PiiType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("email".parse::<PiiType>(), Err(UnknownPiiType));
        assert_eq!(PiiType::ALL.iter().filter(|kind| !kind.is_recognised()).count(), 5);
    }
}
