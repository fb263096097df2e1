# FILE's SHA-256 as a C header.
file(SHA256 ${FILE} sum)
file(WRITE ${HEADER} "#define TS_AGENT_SHA256 \"${sum}\"\n")
