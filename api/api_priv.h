/* The inside of struct ts_api, and what podman.c and docker.c each have to know. */
#ifndef TRANSHIP_API_API_PRIV_H
#define TRANSHIP_API_API_PRIV_H

#include "api/api.h"
#include "api/call.h"
#include "api/decode.h"
#include "api/http.h"

#define TS_DOCKER_API_MIN 32 /* 1.32: Docker 17.09 */
#define TS_DOCKER_API_MAX 51 /* 1.51: the newest whose description this program was written against */

/* Where the engines differ. */
struct ts_api_ops {
        const char *name; /* for messages */
        /* containers */
        int (*info)(struct ts_api *a, struct ts_engine_info *ret, struct ts_err *err);
        int (*list)(struct ts_api *a, struct ts_briefs *ret, struct ts_err *err);
        int (*complete)(struct ts_api *a, struct ts_container *c, struct ts_err *err); /* what the common table cannot say */
        const char *remove_volumes;        /* likewise */
        const char *const *changes_query;
        int (*set_policy)(struct ts_api *a, const char *id, const char *policy, int64_t max_retries, struct ts_err *err);
        int (*create_body)(struct ts_api *a, const struct ts_create *c, struct ts_json **ret, struct ts_list *ret_warnings, struct ts_err *err);
        bool create_says_name;             /* in the query, not in the body */
        int (*connect_networks)(struct ts_api *a, const char *id, const struct ts_json *inspect,
                                const struct ts_list *free_networks, struct ts_err *err);
        /* long calls: target is empty; *ret_json belongs to the caller and may stay NULL */
        int (*checkpoint)(struct ts_api *a, const char *id, const struct ts_checkpoint *o, struct ts_str *target, char **ret_json, struct ts_err *err);
        int (*restore)(struct ts_api *a, const char *id, const struct ts_restore *o, struct ts_str *target, struct ts_err *err);
        ts_call_decode_fn decode_checkpoint, decode_restore, decode_load; /* may be NULL */
        /* resources */
        const char *image_get, *image_get_name; /* path of the export, name of the query for each image */
        const char *image_load;
        const char *image_path, *network_path, *network_list, *volume_path; /* to ask about one; '%' stands for the name */
        const char *network_delete, *volume_delete, *image_delete, *volume_create;
        struct ts_json *(*network_body)(const struct ts_api *a, const struct ts_network *src); /* NULL: out of memory */
        struct ts_json *(*volume_body)(const struct ts_volume *src);
};
extern const struct ts_api_ops ts_podman_ops, ts_docker_ops;

struct ts_api {
        enum ts_engine_kind kind;
        const struct ts_api_ops *ops;
        struct ts_dial dial;
        struct ts_http *http;
        char prefix[32]; /* "/v4.0.0/libpod", "/v1.45" */
        int minor;       /* Docker: the second number of the API version in use */
        int v[3];        /* Podman: the engine's version */
        bool experimental;
        unsigned peer_timeout_ms;
        struct ts_engine_info info;
        bool have_info;
};

/* One question. */
struct ts_ask {
        enum ts_method method;
        const char *path;         /* after the prefix; '%' stands for ref */
        const char *ref;          /* escaped; or NULL */
        const char *const *query; /* key, value, key, value, …, NULL; pairs whose value is NULL are left out; or NULL */
        const char *json;         /* body, or NULL */
        unsigned timeout_ms;      /* 0 = TS_API_TIMEOUT_MS */
        const char *doing;        /* for messages: "inspect container"; ref follows in ticks */
};
/* Refusals (not 2xx, not 304) become err. */
int ts_ask(struct ts_api *a, const struct ts_ask *q, struct ts_http_answer *ret, struct ts_err *err);
int ts_ask_json(struct ts_api *a, const struct ts_ask *q, struct ts_json **ret, struct ts_err *err); /* an empty answer is TS_EPROTO */
int ts_tell(struct ts_api *a, const struct ts_ask *q, struct ts_err *err);
int ts_target_add(const struct ts_api *a, struct ts_str *target, const char *path, const char *ref, struct ts_err *err);
int ts_target_bool(struct ts_str *target, const char *key, bool value, struct ts_err *err); /* false: left out */

/* Names and IDs before they go into a URL. TS_EUSAGE. */
int ts_check_ref(const char *ref, const char *what, struct ts_err *err);
int ts_check_image_ref(const char *ref, struct ts_err *err);
/* Adds "key=value" to an object of labels. NULL: nothing. */
int ts_label_add(struct ts_json *labels, const char *label, struct ts_err *err);
/* The object's member of that name, made if there is none. NULL: out of memory. */
struct ts_json *ts_json_child(struct ts_json *object, const char *key);
struct ts_json *ts_json_child_array(struct ts_json *object, const char *key); /* likewise */

/* container.c */
int ts_container_decode(struct ts_json *j, struct ts_container **ret, struct ts_err *err); /* takes j over, also on failure */
enum ts_state ts_state_parse(const char *text);
int ts_brief_add(struct ts_briefs *b, struct ts_brief **ret, struct ts_err *err); /* *ret is a new, empty one */
/* podman_create.c */
int ts_podman_create_body(struct ts_api *a, const struct ts_create *c, struct ts_json **ret, struct ts_list *ret_warnings, struct ts_err *err);
/* The container's ulimits as member r_limits of a body, which it does not get where there are none.
 * -1: out of memory. */
int ts_podman_add_limits(const struct ts_json *inspect, struct ts_json *body);
/* docker_create.c: what a Docker with this API version (1.<minor>) has to be told. *ret_warnings may be NULL. */
int ts_docker_create_body(const struct ts_create *c, int minor, struct ts_json **ret, struct ts_list *ret_warnings, struct ts_err *err);
/* docker_network.c: the networks of an inspect answer. */
/* The one the container is created on ("bridge", "host", "container:…", a name). Caller frees; NULL only out of memory. */
char *ts_docker_first_network(const struct ts_json *inspect);
bool ts_docker_network_is_own(const char *mode); /* of the user's own: neither bridge nor host, none, container:… */
/* What to say of the container's place on that network; an empty object when there is nothing to say. NULL: out of memory. */
/* Podman: how a bridge network without the option `isolate` behaves changed with version 6; the
 * option is added to body where it would change on the way. 0: not known. */
int ts_podman_network_isolation(struct ts_json *body, int from_major, int to_major);
#define TS_DOCKER_CHOSEN                                                                       \
        "tranship.chosen." /* and a network: a label of a container; the address there that an \
                              engine had chosen */
bool ts_docker_address_chosen(const struct ts_json *inspect,
                              const char *network); /* not asked for by the user */
struct ts_json *ts_docker_endpoint(const struct ts_json *inspect, const char *network, int minor, bool free_addresses);
bool ts_docker_mac_is_made(const char *mac, const char *ip); /* by the engine, from the IPv4 address: Docker before 28 */
/* The MAC address to ask for on the first network (borrowed), or NULL: let the engine choose. */
const char *ts_docker_mac(const struct ts_json *inspect, const char *network);

#endif
