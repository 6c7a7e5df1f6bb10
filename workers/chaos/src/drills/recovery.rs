//! How soon work goes on after a server was killed.
