int of_a_library_that_is_gone();
int of_a_library_that_is_gone() { return 1; }
