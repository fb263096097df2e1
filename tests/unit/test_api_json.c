/* api/json.c */
#include "tests/unit/unit.h"

#include "api/json.h"
#include "base/str.h"


static struct ts_err err = TS_ERR_INIT;

static struct ts_json *parse(const char *text)
{
        struct ts_json *j = NULL;
        UNIT_OK(ts_json_parse(text, strlen(text), 0, &j, &err));
        return j;
}

static void round_trip(const char *text, const char *want)
{
        ts_auto(ts_json) struct ts_json *j = parse(text);
        ts_auto_free char *got = ts_json_text(j, false);
        UNIT_STR(got, want);
}

static void text_is_kept(void)
{
        round_trip("{\"b\":1,\"a\":[true,false,null,1.5,\"x\"]}", "{\"b\":1,\"a\":[true,false,null,1.5,\"x\"]}");
        round_trip(" [ ] ", "[]");
        round_trip("\"\\u00e9\\n\\\"\"", "\"\xc3\xa9\\n\\\"\"");
        round_trip("null", "null");
        round_trip("-9223372036854775808", "-9223372036854775808");
        ts_auto(ts_json) struct ts_json *j = parse("{\"a\":1}");
        ts_auto_free char *pretty = ts_json_text(j, true);
        UNIT_STR(pretty, "{\n  \"a\": 1\n}");
}

/* jansson has no type for them; Podman's "no limit" is one. */
static void big_integers_are_kept(void)
{
        round_trip("[9223372036854775807,9223372036854775808,18446744073709551615]", "[9223372036854775807,9223372036854775808,18446744073709551615]");
        round_trip("{\"hard\":18446744073709551615,\"s\":\"18446744073709551615\"}", "{\"hard\":18446744073709551615,\"s\":\"18446744073709551615\"}");
        round_trip("[\"a\\\\\",18446744073709551615]", "[\"a\\\\\",18446744073709551615]");
        ts_auto(ts_json) struct ts_json *j = parse("{\"hard\":18446744073709551615}"), *copy = ts_json_copy(j);
        CU_ASSERT_EQUAL(ts_json_int(j, "hard", 7), 7);
        CU_ASSERT_TRUE(ts_json_equal(j, copy));
        static const char *const beyond[] = { "18446744073709551616", "99999999999999999999", "-9223372036854775809", "123456789012345678901" };
        for (size_t i = 0; i < TS_ARRAY_LEN(beyond); i++) {
                struct ts_json *none = NULL;
                UNIT_FAILS(ts_json_parse(beyond[i], strlen(beyond[i]), 0, &none, &err), TS_EPROTO);
        }
}

static void bad_text_is_refused(void)
{
        static const char *const bad[] = { "", " ", "{", "[1,]", "{\"a\":1,\"a\":2}", "{a:1}", "\"\\ud800\"", "\"\xff\"", "[1] x", "1e999", "nul", "'a'", "\"", "\"\\", "01" };
        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++) {
                struct ts_json *j = NULL;
                UNIT_FAILS(ts_json_parse(bad[i], strlen(bad[i]), 0, &j, &err), TS_EPROTO);
                CU_ASSERT_PTR_NULL(j);
        }
        struct ts_json *j = NULL;
        CU_ASSERT_EQUAL(ts_json_parse("{\n \"a\": x", 9, 0, &j, &err), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_err_message(&err), "line 2"));
        ts_err_clear(&err);
}

/* A NUL keeps nobody from reading the rest; whoever copies the document copies it. */
static void a_nul_is_kept_but_given_to_nobody(void)
{
        static const char text[] = "{\"error\":\"no such\\u0000file\",\"id\":\"a\"}";
        struct ts_json *j = NULL;
        UNIT_OK(ts_json_parse(text, strlen(text), 0, &j, &err));
        CU_ASSERT_STRING_EQUAL(ts_json_str(j, "error", "none"), "none");
        CU_ASSERT_STRING_EQUAL(ts_json_str(j, "id", "none"), "a");
        ts_auto_free char *again = ts_json_text(j, false);
        CU_ASSERT_STRING_EQUAL(again, text);
        ts_json_free(j);
}

static void sizes_are_bounded(void)
{
        struct ts_json *j = NULL;
        char deep[2 * (TS_JSON_MAX_DEPTH + 1)];
        UNIT_FAILS(ts_json_parse("[1,2,3]", 7, 6, &j, &err), TS_ELIMIT);
        UNIT_OK(ts_json_parse("[1,2,3]", 7, 7, &j, &err));
        ts_json_free(j);
        j = NULL;
        memset(deep, '[', TS_JSON_MAX_DEPTH);
        memset(deep + TS_JSON_MAX_DEPTH, ']', TS_JSON_MAX_DEPTH);
        UNIT_OK(ts_json_parse(deep, 2 * TS_JSON_MAX_DEPTH, 0, &j, &err));
        ts_json_free(j);
        j = NULL;
        memset(deep, '[', TS_JSON_MAX_DEPTH + 1);
        memset(deep + TS_JSON_MAX_DEPTH + 1, ']', TS_JSON_MAX_DEPTH + 1);
        UNIT_FAILS(ts_json_parse(deep, 2 * (TS_JSON_MAX_DEPTH + 1), 0, &j, &err), TS_EPROTO);
        round_trip("\"[[[[{{{{\"", "\"[[[[{{{{\"");
}

static void look_ups(void)
{
        ts_auto(ts_json) struct ts_json *j = parse("{\"s\":\"x\",\"n\":5,\"b\":true,\"r\":1.5,\"z\":null,\"o\":{\"p\":{\"q\":7}},\"a\":[1,2],\"x.y\":3}");
        UNIT_STR(ts_json_str(j, "s", "f"), "x");
        UNIT_STR(ts_json_str(j, "n", "f"), "f");
        UNIT_STR(ts_json_str(j, "none", NULL), NULL);
        UNIT_STR(ts_json_str(j, "z", "f"), "f");
        CU_ASSERT_EQUAL(ts_json_int(j, "o.p.q", 0), 7);
        CU_ASSERT_EQUAL(ts_json_int(j, "o.p.q.r", 1), 1);
        CU_ASSERT_EQUAL(ts_json_int(j, "s", 1), 1);
        CU_ASSERT_TRUE(ts_json_bool(j, "b", false));
        CU_ASSERT_TRUE(ts_json_bool(j, "s", true));
        CU_ASSERT_DOUBLE_EQUAL(ts_json_real(j, "r", 0), 1.5, 0);
        CU_ASSERT_DOUBLE_EQUAL(ts_json_real(j, "n", 0), 5, 0);
        CU_ASSERT_PTR_EQUAL(ts_json_get(j, ""), j);
        CU_ASSERT_EQUAL(ts_json_int(ts_json_member(j, "x.y"), "", 0), 3);
        CU_ASSERT_EQUAL(ts_json_int(j, "x.y", 9), 9);
        CU_ASSERT_EQUAL(ts_json_len(ts_json_get(j, "a")), 2);
        CU_ASSERT_EQUAL(ts_json_len(ts_json_get(j, "s")), 0);
        CU_ASSERT_EQUAL(ts_json_len(j), 8);
        CU_ASSERT_EQUAL(ts_json_int(ts_json_at(ts_json_get(j, "a"), 1), "", 0), 2);
        CU_ASSERT_PTR_NULL(ts_json_at(ts_json_get(j, "a"), 2));
        CU_ASSERT_TRUE(ts_json_is_object(j) && ts_json_is_array(ts_json_get(j, "a")) && ts_json_is_string(ts_json_get(j, "s")));
        CU_ASSERT_TRUE(ts_json_is_null(ts_json_get(j, "z")) && ts_json_is_null(NULL) && ts_json_is_int(ts_json_get(j, "n")) &&
                       ts_json_is_bool(ts_json_get(j, "b")));
        UNIT_STR(ts_json_str(NULL, "a.b", "f"), "f");
        CU_ASSERT_FALSE(ts_json_is_object(NULL));
}

static void members_keep_their_order(void)
{
        ts_auto(ts_json) struct ts_json *j = parse("{\"z\":1,\"a\":2,\"m\":3}");
        const char *key;
        struct ts_json *value;
        ts_auto_str keys = TS_STR_INIT;
        for (void *it = NULL; (it = ts_json_each(j, it, &key, &value));)
                UNIT_OK(ts_str_addf(&keys, &err, "%s%d", key, (int)ts_json_int(value, "", 0)));
        UNIT_STR(keys.buf, "z1a2m3");
        ts_auto(ts_json) struct ts_json *array = parse("[1]");
        CU_ASSERT_PTR_NULL(ts_json_each(array, NULL, &key, &value));
}

static void building(void)
{
        ts_auto(ts_json) struct ts_json *j = ts_json_object();
        CU_ASSERT_EQUAL(ts_json_set_str(j, "s", "x"), 0);
        CU_ASSERT_EQUAL(ts_json_set_str(j, "none", NULL), 0);
        CU_ASSERT_EQUAL(ts_json_set_int(j, "n", -1), 0);
        CU_ASSERT_EQUAL(ts_json_set_bool(j, "b", true), 0);
        CU_ASSERT_EQUAL(ts_json_set(j, "z", ts_json_new_str(NULL)), 0);
        CU_ASSERT_EQUAL(ts_json_set(j, "r", ts_json_new_real(0.5)), 0);
        CU_ASSERT_EQUAL(ts_json_set(j, "a", ts_json_array()), 0);
        CU_ASSERT_EQUAL(ts_json_append(ts_json_member(j, "a"), ts_json_new_int(1)), 0);
        CU_ASSERT_EQUAL(ts_json_append(ts_json_member(j, "a"), NULL), -1);
        CU_ASSERT_EQUAL(ts_json_set(j, "no", NULL), -1);
        CU_ASSERT_EQUAL(ts_json_set_str(NULL, "k", "v"), -1);
        CU_ASSERT_EQUAL(ts_json_append(j, ts_json_new_int(1)), -1); /* no array: the value is freed */
        CU_ASSERT_EQUAL(ts_json_del(j, "b"), 0);
        CU_ASSERT_EQUAL(ts_json_del(j, "b"), -1);
        ts_auto_free char *text = ts_json_text(j, false);
        UNIT_STR(text, "{\"s\":\"x\",\"n\":-1,\"z\":null,\"r\":0.5,\"a\":[1]}");
}

static void invalid_utf8_is_replaced(void)
{
        static const char *const cases[][2] = {
                { "ok \xc3\xa9", "ok \xc3\xa9" },
                { "a\xff" "b", "a\xef\xbf\xbd" "b" },
                { "\xc3", "\xef\xbf\xbd" },
                { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
                { "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
                { "\xf5\x80\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
                { "\xf0\x9f\x98\x80\xff", "\xf0\x9f\x98\x80\xef\xbf\xbd" },
        };
        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto(ts_json) struct ts_json *j = ts_json_new_str(cases[i][0]);
                UNIT_STR(ts_json_str(j, "", NULL), cases[i][1]);
        }
}

static void copies_are_independent(void)
{
        ts_auto(ts_json) struct ts_json *a = parse("{\"o\":{\"n\":1}}"), *b = ts_json_copy(a);
        CU_ASSERT_TRUE(ts_json_equal(a, b));
        CU_ASSERT_EQUAL(ts_json_set_int(ts_json_get(b, "o"), "n", 2), 0);
        CU_ASSERT_FALSE(ts_json_equal(a, b));
        CU_ASSERT_EQUAL(ts_json_int(a, "o.n", 0), 1);
        CU_ASSERT_FALSE(ts_json_equal(a, NULL));
}

static CU_TestInfo tests[] = {
        UNIT(text_is_kept),
        UNIT(big_integers_are_kept),
        UNIT(bad_text_is_refused),
        UNIT(a_nul_is_kept_but_given_to_nobody),
        UNIT(sizes_are_bounded),
        UNIT(look_ups),
        UNIT(members_keep_their_order),
        UNIT(building),
        UNIT(invalid_utf8_is_replaced),
        UNIT(copies_are_independent),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("api_json", tests)
