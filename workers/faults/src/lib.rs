//! The fault lab's seams: what listens between a worker and its servers, and what interferes there.
