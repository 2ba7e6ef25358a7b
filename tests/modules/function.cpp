// The right name, but code instead of data.
extern "C" __attribute__((visibility("default"))) int ropewalk_module() { return 1; }
