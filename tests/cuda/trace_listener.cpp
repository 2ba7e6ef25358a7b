// A library that NVTX loads as it loads a profiler (NVTX_INJECTION64_PATH), and that it tells of
// every range and mark. This one writes them to the file that TRACE_TO names: "push NAME", "pop"
// and "mark NAME", one a line.
#include <nvtx3/nvToolsExt.h>

#include <cstdio>
#include <cstdlib>

namespace {

std::FILE* trace() {
  static std::FILE* const file = std::fopen(std::getenv("TRACE_TO"), "w");
  return file;
}

int push(const char* name) {
  std::fprintf(trace(), "push %s\n", name);
  return 0;
}

void mark(const char* name) { std::fprintf(trace(), "mark %s\n", name); }

int pop() {
  std::fprintf(trace(), "pop\n");
  std::fflush(trace());
  return 0;
}

template <class Function>
NvtxFunctionPointer pointer_to(Function* function) {
  return reinterpret_cast<NvtxFunctionPointer>(function);
}

}  // namespace

// NVTX's contract: answers 1 where it has found what it needs.
extern "C" __attribute__((visibility("default"))) int InitializeInjectionNvtx2(
    NvtxGetExportTableFunc_t table_of) {
  const auto* callbacks =
      static_cast<const NvtxExportTableCallbacks*>(table_of(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned size = 0;
  if (!callbacks || !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &table, &size) ||
      size <= NVTX_CBID_CORE_RangePop)
    return 0;
  *table[NVTX_CBID_CORE_RangePushA] = pointer_to(push);
  *table[NVTX_CBID_CORE_RangePop] = pointer_to(pop);
  *table[NVTX_CBID_CORE_MarkA] = pointer_to(mark);
  return 1;
}
