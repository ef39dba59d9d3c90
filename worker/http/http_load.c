/* http_load.c - libcurl, loaded when it is needed. Everything that it frees is zeroed first: it keeps copies
 * of the credentials that it sends.
 */
#include "http_p.h"

#include "http_kerberos.h"

#include "../../common/wiped.h"

#include <dlfcn.h>

#define LIBRARY "libcurl.so.4"
#define OLDEST 0x075500              /* 7.85: CURLOPT_PROTOCOLS_STR */

struct http_curl http_curl;

static enum code find_functions(void *library, struct err *err)
{
	static const char *const names[] = {
#define X(name) "curl_" #name,
		HTTP_CURL_LIST(X)
#undef X
	};
	void *found[ARRAY_LEN(names)];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		found[i] = dlsym(library, names[i]);
		if (found[i] == NULL)
			return err_set(err, E_UNSUPPORTED, LIBRARY " has no %s; install libcurl4 7.85 or later",
				       names[i]);
	}
	_Static_assert(sizeof(found) == sizeof(http_curl), "one pointer per function");
	memcpy(&http_curl, found, sizeof(found));
	return E_OK;
}

enum code http_load(struct err *err)
{
	static bool loaded;
	void *library;
	enum code rc;

	if (loaded)
		return E_OK;
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		return err_set(err, E_UNSUPPORTED, LIBRARY " cannot be loaded; install libcurl4: %s", dlerror());
	rc = find_functions(library, err);
	if (rc != E_OK)
		return rc;
	if (http_curl.version_info(CURLVERSION_NOW)->version_num < OLDEST)
		return err_set(err, E_UNSUPPORTED, LIBRARY " is version %s; 7.85 or later is needed",
			       http_curl.version_info(CURLVERSION_NOW)->version);
	if (http_curl.global_init_mem(CURL_GLOBAL_DEFAULT, wiped_take, wiped_give_back, wiped_resize, wiped_copy,
				      wiped_take_zeroed) != CURLE_OK)
		return err_set(err, E_INTERNAL, LIBRARY " could not be set up");
	http_kerberos_load();
	loaded = true;
	return E_OK;
}
