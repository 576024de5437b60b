# Helpers that give every target of assay the same warnings, includes and sanitizers.

set(ASSAY_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, comma separated")

function(assay_settings target)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    -Wno-sign-conversion -Werror)
  if(ASSAY_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${ASSAY_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${ASSAY_SANITIZE})
  endif()
endfunction()

# assay_library(NAME SOURCES... [LIBS ...]): a static library of one folder.
function(assay_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES} ${ARG_UNPARSED_ARGUMENTS})
  assay_settings(${name})
  target_link_libraries(${name} PUBLIC ${ARG_LIBS})
endfunction()

# assay_program(NAME SOURCES... [LIBS ...]): an executable, installed in bin/.
function(assay_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES} ${ARG_UNPARSED_ARGUMENTS})
  assay_settings(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS})
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()

# assay_test(NAME SOURCES... [LIBS ...] [LABELS ...] [TIMEOUT seconds]): a GoogleTest program,
# one ctest entry. The environment says where the project's files are.
function(assay_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES} ${ARG_UNPARSED_ARGUMENTS})
  assay_settings(${name})
  target_compile_definitions(${name} PRIVATE ASSAY_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gtest GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "ASSAY_BIN=${CMAKE_BINARY_DIR}/bin;UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1")
  if(ARG_LABELS)
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}")
  endif()
endfunction()
