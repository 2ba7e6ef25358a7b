#include "backends/cuda/device/cublas.h"

#include <cublas_api.h>
#include <dlfcn.h>

#include <string>
#include <vector>

#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

using abi::Failure;
using abi::StatusCode;

// The libraries that the driver can run, the newest first. A library of a newer CUDA than the
// driver's would load, but fail to create a handle.
std::vector<const char*> libraries() {
  if (driver_version() >= 13000) return {"libcublas.so.13", "libcublas.so.12"};
  return {"libcublas.so.12"};
}

// Spelled out, since cuBLAS's headers overload the name.
using Gemm = cublasStatus_t(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
                            const void*, const void*, cudaDataType, int, const void*, cudaDataType,
                            int, const void*, void*, cudaDataType, int, cublasComputeType_t,
                            cublasGemmAlgo_t);

cublasHandle_t handle_of(void* handle) { return static_cast<cublasHandle_t>(handle); }

void require(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Failure(
      status == CUBLAS_STATUS_ALLOC_FAILED ? StatusCode::out_of_memory : StatusCode::internal,
      std::string("cuBLAS: ") + what + " failed with status " +
          std::to_string(static_cast<int>(status)));
}

template <class Function>
void find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (!function)
    throw Failure(StatusCode::unsupported, std::string("cuBLAS has no function ") + name);
}

}  // namespace

struct Cublas::Api {
  decltype(&cublasCreate_v2) create = nullptr;
  decltype(&cublasDestroy_v2) destroy = nullptr;
  decltype(&cublasSetStream_v2) set_stream = nullptr;
  decltype(&cublasSetWorkspace_v2) set_workspace = nullptr;
  decltype(&cublasSetMathMode) set_math_mode = nullptr;
  Gemm* gemm = nullptr;

  Api() {
    void* library = nullptr;
    std::string names;
    for (const char* name : libraries()) {
      names += std::string(names.empty() ? "" : " or ") + name;
      if (!library) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (!library)
      throw Failure(StatusCode::unsupported, "cuBLAS is not found: looked for " + names +
                                                 " on the loader's path (LD_LIBRARY_PATH)");
    find(library, "cublasCreate_v2", create);
    find(library, "cublasDestroy_v2", destroy);
    find(library, "cublasSetStream_v2", set_stream);
    find(library, "cublasSetWorkspace_v2", set_workspace);
    find(library, "cublasSetMathMode", set_math_mode);
    find(library, "cublasGemmEx", gemm);
  }
};

const Cublas::Api& Cublas::api() {
  static const Api api;  // after a throw the next call tries again
  return api;
}

std::string Cublas::missing() {
  try {
    static_cast<void>(api());
    return "";
  } catch (const Failure& failure) {
    return failure.what();
  }
}

Cublas::Cublas(Context& context) : context_(context) {
  cublasHandle_t handle = nullptr;
  require(api().create(&handle), "create (off the loader's path it is not asked)");
  handle_ = handle;
  // Where K is split, partial sums are added in f32 even if the result is f16.
  require(api().set_math_mode(
              handle, static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH |
                                                CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)),
          "set math mode");
}

// Destroying the handle waits for the device without a time limit, so wait() with one comes first.
Cublas::~Cublas() {
  const abi::Status status = abi::guard([&] {
    context_.enter();
    context_.wait();
  });
  if (status.ok()) static_cast<void>(api().destroy(handle_of(handle_)));
}

// set_stream resets the workspace, so both are set each time.
void Cublas::multiply(const Multiplication& p, std::byte* workspace, cudaStream_t stream) {
  require(api().set_stream(handle_of(handle_), stream), "set stream");
  require(api().set_workspace(handle_of(handle_), workspace, kWorkspaceBytes), "set workspace");
  const float one = 1.0f, zero = 0.0f;
  const auto rows = static_cast<int>(p.rows), cols = static_cast<int>(p.cols),
             depth = static_cast<int>(p.depth);
  const cudaDataType type = p.dtype == abi::DType::bf16 ? CUDA_R_16BF : CUDA_R_16F;
  const auto pitch = [](uint64_t elements) { return static_cast<int>(elements); };
  // cuBLAS is column-major: it sees w as (depth, cols), x as (depth, rows), y as (cols, rows).
  require(api().gemm(handle_of(handle_), CUBLAS_OP_T, CUBLAS_OP_N, cols, rows, depth, &one, p.w,
                     type, pitch(p.w_pitch), p.x, type, pitch(p.x_pitch), &zero, p.y,
                     p.y_dtype == abi::DType::f16 ? CUDA_R_16F : CUDA_R_32F, pitch(p.y_pitch),
                     CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
          "a product");
}

}  // namespace ropewalk::cuda
