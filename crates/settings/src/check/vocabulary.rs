//! The fixed words of the configuration: domains and types of personal data.

/// The 14 domains of the classifier, in the order of its classes.
pub const DOMAINS: [&str; 14] = [
    "business",
    "law",
    "psychology",
    "biology",
    "chemistry",
    "history",
    "other",
    "health",
    "economics",
    "math",
    "physics",
    "computer science",
    "philosophy",
    "engineering",
];

/// Types of personal data and of credentials that a policy can name.
pub const PII_TYPES: [&str; 19] = [
    "PERSON",
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "US_SSN",
    "STREET_ADDRESS",
    "GPE",
    "ORGANIZATION",
    "CREDIT_CARD",
    "US_DRIVER_LICENSE",
    "IBAN_CODE",
    "IP_ADDRESS",
    "DOMAIN_NAME",
    "DATE_TIME",
    "AGE",
    "NRP",
    "ZIP_CODE",
    "API_KEY",
    "BEARER_TOKEN",
    "URL_CREDENTIALS",
];

/// Types that a policy can name and that this version does not find: names have no form by which to know them.
pub const PII_TYPES_NOT_FOUND: [&str; 5] = ["PERSON", "STREET_ADDRESS", "GPE", "ORGANIZATION", "NRP"];
