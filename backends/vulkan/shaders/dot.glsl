// The integer dot product, and codes of 4 bits as its operands.
#extension GL_EXT_spirv_intrinsics : require

// OpSDotAccSat of SPV_KHR_integer_dot_product, with operands of four packed bytes.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4453)
int dot4(int a, int b, int sum, spirv_literal int packed_format);

// The codes of eight rows as bytes: those of the even ones, and of the odd ones.
int even_codes(uint word) { return int(word & 0x0f0f0f0fu); }
int odd_codes(uint word) { return int(word >> 4 & 0x0f0f0f0fu); }
