//! The five services of the order example, each with its own books.
