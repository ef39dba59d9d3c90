/* notify.c - sd_notify(3), loaded only under a service manager.
 *
 * libsystemd brings seven more libraries; a run from a shell or a timer does not pay for them.
 */
#include "notify.h"

#include "../common/log.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#define LIBRARY "libsystemd.so.0"

typedef __typeof__(sd_notify) notify_fn;

static notify_fn *load(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	notify_fn *fn = NULL;

	if (library != NULL)
		*(void **)&fn = dlsym(library, "sd_notify");
	if (fn == NULL)
		log_warning("%s: the service manager cannot be told that the service is ready; "
			    "install libsystemd0", dlerror());
	return fn;
}

void notify(const char *state)
{
	static notify_fn *fn;
	static bool loaded;

	if (!loaded && getenv("NOTIFY_SOCKET") != NULL)
		fn = load();
	loaded = true;
	if (fn != NULL)
		fn(0, state);
}
