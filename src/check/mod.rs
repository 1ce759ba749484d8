//! Message and tables to findings.
