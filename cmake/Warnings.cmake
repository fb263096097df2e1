# Warnings, hardening and instrumentation, as interface libraries. What a compiler does not know is left out, so gcc and clang both work.
include(CheckCCompilerFlag)

add_library(tranship_warnings INTERFACE)
add_library(tranship_hardening INTERFACE)

function(ts_add_flags target)
        foreach(flag IN LISTS ARGN)
                string(MAKE_C_IDENTIFIER "TS_FLAG${flag}" known)
                check_c_compiler_flag(${flag} ${known})
                if(${known})
                        target_compile_options(${target} INTERFACE ${flag})
                endif()
        endforeach()
endfunction()

# -Wpedantic too: the statement expressions of base/mem.h are marked __extension__.
target_compile_options(tranship_warnings INTERFACE -Wall -Wextra -Wpedantic)
ts_add_flags(tranship_warnings
        -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wredundant-decls
        -Wvla -Wformat=2 -Wundef -Wcast-qual -Wcast-align -Wwrite-strings -Wpointer-arith -Wnested-externs
        -Wdouble-promotion -Wimplicit-fallthrough -Wlogical-op -Wduplicated-cond -Wduplicated-branches
        -Wjump-misses-init -Walloca -Wdate-time)
if(TS_WERROR)
        target_compile_options(tranship_warnings INTERFACE -Werror)
endif()

ts_add_flags(tranship_hardening -fstack-protector-strong -fstack-clash-protection -fcf-protection -fno-common -fno-strict-overflow)
# _FORTIFY_SOURCE needs an optimiser, and the sanitizers see more without it. Some distributions predefine it: hence the -U.
if(NOT TS_ASAN AND NOT TS_FUZZ)
        target_compile_options(tranship_hardening INTERFACE
                "$<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:SHELL:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>")
endif()
target_link_options(tranship_hardening INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)

if(TS_ASAN OR TS_FUZZ)
        target_compile_options(tranship_hardening INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
        target_link_options(tranship_hardening INTERFACE -fsanitize=address,undefined)
endif()
if(TS_FUZZ)
        target_compile_options(tranship_hardening INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(TS_COVERAGE)
        target_compile_options(tranship_hardening INTERFACE --coverage -fprofile-update=atomic)
        target_link_options(tranship_hardening INTERFACE --coverage)
endif()
