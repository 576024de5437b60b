// C++ symbols as their authors know them.
#pragma once

#include <string>

namespace assay {

/// "void k<4>(float*)" for "_Z1kILi4EEvPf". The symbol itself where it is none of C++, and where
/// the text would be long: symbols come from candidates, and substitutions let a short one stand
/// for a text that no memory holds.
std::string demangled_name(const std::string& symbol);

}  // namespace assay
