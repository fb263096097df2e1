/* Decides whether a silent engine counts as gone. Does not decide what that means for the call. */
#include "api/peer.h"

#include "api/curl_priv.h"

#define QUIET_US (5 * 1000000ULL)    /* nothing moved for so long: start asking */
#define INTERVAL_US (2 * 1000000ULL) /* from one ping to the next */
#define PING_TIMEOUT_MS 2000L

struct ts_peer {
        CURLM *multi;
        CURL *easy;
        struct curl_slist *headers;
        struct ts_conn conn;
        char error_text[CURL_ERROR_SIZE];
        uint64_t timeout_us;
        bool under_way;
        uint64_t asked_us;   /* when the last ping began */
        uint64_t failing_us; /* when the first of the failed pings in a row began, or 0 */
};

static size_t swallow(char *data, size_t size, size_t n, void *ctx)
{
        (void)data;
        (void)ctx;
        return size * n;
}

int ts_peer_new(const struct ts_dial *dial, unsigned timeout_ms, struct ts_peer **ret, struct ts_err *err)
{
        struct ts_peer *p = calloc(1, sizeof(*p));
        if (!p)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        p->conn = (struct ts_conn)TS_CONN_INIT;
        p->conn.dial = *dial;
        p->timeout_us = (uint64_t)timeout_ms * 1000;
        p->multi = curl_multi_init();
        p->easy = curl_easy_init();
        if (!p->multi || !p->easy || ts_curl_header(&p->headers, "Host: localhost", NULL) < 0) {
                ts_peer_free(p);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        ts_curl_setup(p->easy, &p->conn, "/_ping", p->headers, p->error_text);
        (void)curl_easy_setopt(p->easy, CURLOPT_WRITEFUNCTION, swallow);
        (void)curl_easy_setopt(p->easy, CURLOPT_TIMEOUT_MS, PING_TIMEOUT_MS);
        *ret = p;
        return 0;
}

void ts_peer_free(struct ts_peer *p)
{
        if (!p)
                return;
        if (p->under_way)
                (void)curl_multi_remove_handle(p->multi, p->easy);
        curl_easy_cleanup(p->easy);
        (void)curl_multi_cleanup(p->multi);
        curl_slist_free_all(p->headers);
        ts_conn_clear(&p->conn);
        free(p);
}

/* Any answer below 500 shows that somebody lives there. */
static bool answered(struct ts_peer *p)
{
        int left;
        long status = 0;
        const CURLMsg *m = curl_multi_info_read(p->multi, &left);
        bool ok = m && m->msg == CURLMSG_DONE && m->data.result == CURLE_OK &&
                  curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status < 500;
        return ok;
}

static void ask_or_listen(struct ts_peer *p, uint64_t now)
{
        int running = 0;
        if (!p->under_way) {
                if (now - p->asked_us < INTERVAL_US)
                        return;
                p->asked_us = now;
                ts_err_clear(&p->conn.err);
                p->under_way = curl_multi_add_handle(p->multi, p->easy) == CURLM_OK;
        }
        if (p->under_way && curl_multi_perform(p->multi, &running) == CURLM_OK && running > 0)
                return;
        if (answered(p))
                p->failing_us = 0;
        else if (p->failing_us == 0)
                p->failing_us = p->asked_us;
        if (p->under_way)
                (void)curl_multi_remove_handle(p->multi, p->easy);
        p->under_way = false;
}

int ts_peer_step(struct ts_peer *p, uint64_t moved_us, struct ts_err *err)
{
        uint64_t now = ts_now_us();
        if (!p->under_way && now < moved_us + QUIET_US) {
                p->failing_us = 0;
                return 0;
        }
        ask_or_listen(p, now);
        if (p->failing_us == 0 || now - p->failing_us < p->timeout_us)
                return 0;
        return ts_err_set(err, TS_ECONNECT, "the engine has given no sign of life for %u s", (unsigned)((now - p->failing_us) / 1000000));
}
