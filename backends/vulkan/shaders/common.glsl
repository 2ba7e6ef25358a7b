// What every shader shares: addresses instead of bindings, and the step's inputs.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_control_flow_attributes : require

// What is read is never written by another name in the same dispatch, but for an element that its own
// invocation has read (x + y into y). Said to the compiler, this lets it issue loads together; otherwise
// each store and each load after it would wait.
layout(buffer_reference, std430, buffer_reference_align = 4) restrict readonly buffer Floats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) restrict readonly buffer Words { uint at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Quads { uvec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Vectors { vec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) restrict readonly buffer Word { uint of; };
layout(buffer_reference, std430, buffer_reference_align = 4) restrict buffer FloatResults { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) restrict buffer WordResults { uint at[]; };

// Written by the host before each submission (step_block.cpp: StepHeader), one for each RoPE table.
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Step {
  uint rows;
  uint prompt_rows;  // rows before this one are of sequences with several rows
  uint wanted_rows;
  uint pages_per_sequence;
  uint rope_pairs;  // of all tables of a sequence
  Words token;      // (R)
  Words position;   // (R)
  Words sequence;   // (R)
  Words wanted;     // (W)
  Words page;       // (S, pages_per_sequence)
  Floats inv_freq;  // (S, rope_pairs), from the table on
  Words adapter;    // (S)
  Floats angles;    // (R, rope_pairs, 2), from the table on: cosine and sine of position * inv_freq
};

#define NEGATIVE_INFINITY uintBitsToFloat(0xff800000u)

// Rows an op runs over: those of the step, or those whose logits are wanted.
uint row_count(Step step, uint over_wanted) {
  return over_wanted != 0 ? step.wanted_rows : step.rows;
}

// The scale of a pair's cosine and sine: a pair of frequency 0 is not rotated and has none.
float rope_scale_of(Step step, uint row, uint pair, float scale) {
  return step.inv_freq.at[step.sequence.at[row] * step.rope_pairs + pair] == 0 ? 1 : scale;
}
