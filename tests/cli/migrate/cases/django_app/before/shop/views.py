from django.http import HttpResponse

from . import analytics


def buy(request):
    user = {"id": 42, "email": "a@b.c"}
    analytics.order_completed(user, {"id": "o-1", "revenue": 24.95})
    return HttpResponse("bought")
