# Two stages: libraries are installed in the first, the second carries only what runs. One image for every
# deployment of config/: JOTA_CONFIG says which, JOTA_MODELS which models it fetches.
FROM python:3.12-slim AS build
WORKDIR /jota
RUN python -m venv /opt/jota
COPY requirements.lock ./
RUN /opt/jota/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY jota_core jota_core
COPY plugins plugins
RUN /opt/jota/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
LABEL org.opencontainers.image.title="Jota" org.opencontainers.image.licenses="Apache-2.0"
# llama.cpp computes with OpenMP, which the slim image leaves out.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/jota jota
COPY --from=build /opt/jota /opt/jota
COPY config /etc/jota
ENV PATH=/opt/jota/bin:$PATH PYTHONUNBUFFERED=1 \
    JOTA_DATA=/var/lib/jota JOTA_MODEL_CACHE=/var/lib/jota/cache \
    JOTA_CONFIG=/etc/jota/lan.yaml JOTA_MODELS="starter whisper-base kokoro-es" \
    JOTA_LIVE=http://127.0.0.1:8000/health/live
USER 10001
VOLUME /var/lib/jota
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(os.environ['JOTA_LIVE'], timeout=4)"]
ENTRYPOINT ["/etc/jota/container.sh"]
