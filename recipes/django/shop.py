"""A Django project in one file: its own users, its own sessions in its database.

    /usr/bin/python3 shop.py DATABASE [PORT]

What entitle needs of it is `whoami`, four lines. The rest stands for your project.
"""
import sys

import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

database, port = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8000
settings.configure(
    SECRET_KEY="only a recipe's",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["localhost"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.middleware.common.CommonMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {
            "registration/login.html": "<form method=post>{% csrf_token %}{{ form }}<button>Log in</button></form>",
        })]},
    }],
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.views import LoginView, LogoutView  # noqa: E402


def whoami(request):
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    return HttpResponse(status=204, headers={"X-User": str(request.user.pk)})


def lesson(request):
    return HttpResponse("The lesson, for %s." % request.headers.get("X-Entitle-User", "nobody"))


urlpatterns = [
    path("whoami/", whoami),
    path("courses/lesson/", lesson),
    path("accounts/login/", LoginView.as_view()),
    path("accounts/logout/", LogoutView.as_view(next_page="/accounts/login/")),
]

if __name__ == "__main__":
    from wsgiref.simple_server import make_server

    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    sys.modules["shop"] = sys.modules["__main__"]
    call_command("migrate", verbosity=0)
    for name in "ada", "bob":
        if not User.objects.filter(username=name).exists():
            User.objects.create_user(name, password="secret")
    make_server("127.0.0.1", port, get_wsgi_application()).serve_forever()
