// What the two shaders of low_rank share: rows of one adapter within a tile.

layout(local_size_x_id = 0) in;
layout(constant_id = 2) const uint kTile = 1;  // rows of a workgroup

const uint kNoAdapter = 0xffffffffu;

uint adapter_of(Step step, uint row, uint over_wanted) {
  return step.adapter.at[step.sequence.at[over_wanted != 0 ? step.wanted.at[row] : row]];
}

// The row behind the last one, from `first` on and before `end`, that has the adapter `slot`.
uint end_of_run(Step step, uint first, uint end, uint slot, uint over_wanted) {
  uint last = first + 1;
  while (last < end && adapter_of(step, last, over_wanted) == slot) ++last;
  return last;
}
