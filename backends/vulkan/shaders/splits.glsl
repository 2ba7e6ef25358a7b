// How attention.comp divides the keys that a row sees: into spans of kSpan keys, and these evenly among the
// splits of its grid. A short text leaves the last splits without keys; those write nothing, and
// attention_combine.comp does not read them.
struct Spans {
  uint first_key;   // that the row sees
  uint begin, end;  // spans with keys that the row sees
  uint per_split;
};

// `window`: keys that a query sees, its own included; 0: all.
Spans spans_of(uint position, uint window, uint splits) {
  Spans spans;
  spans.first_key = window != 0 && position >= window ? position - window + 1 : 0;
  spans.begin = spans.first_key / kSpan;
  spans.end = position / kSpan + 1;
  spans.per_split = (spans.end - spans.begin + splits - 1) / splits;
  return spans;
}

uint used_splits(Spans spans) { return (spans.end - spans.begin + spans.per_split - 1) / spans.per_split; }
